# The gateway as a static binary on an empty image, run by a user who is not root.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/h2gw ./cmd/h2gw

FROM scratch
LABEL org.opencontainers.image.title="h2gw" \
      org.opencontainers.image.description="HTTP/2 front-door gateway that knows its connections" \
      org.opencontainers.image.licenses="Apache-2.0"
# Roots for origins reached over https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/h2gw /h2gw
USER 65532:65532
EXPOSE 8443 8080 9180
ENTRYPOINT ["/h2gw"]
CMD ["--help"]
