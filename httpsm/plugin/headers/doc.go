// Package headers sets, adds and removes fields on requests to the origin and
// on responses to the client.
//
// Values may hold variables, written ${name}, which stand for what is known of
// the transaction; $$ is a dollar sign:
//
//	${pitag} ${piid} ${stream} ${txn}     identity: protocol, client connection, stream, count on the connection
//	${client} ${client_ip} ${client_port} the client's address
//	${listener} ${scheme}                 where it connected to; http or https
//	${tls_version} ${tls_cipher} ${alpn} ${sni}
//	${method} ${host} ${path}             of the request as received; path with its query
//	${request_id}                         X-Request-Id, as it goes to the origin
//	${route} ${group} ${origin}           where the request goes
//	${status}                             of the response; in response fields only
//
// What is not known is empty, but for ${pitag}, which is then "*", as in the
// log. A field whose value comes out empty is not sent: setting
// "X-TLS: ${tls_version}" takes the field off a cleartext request, whatever the
// client wrote in it.
//
// Fields are removed first, then set, then added. Request fields change after
// the gateway's own (Via, X-Forwarded-For), at SendRequestHead; response fields
// at SendResponseHead, on local answers as well. Fields that frame a message or
// belong to one connection (Content-Length, Transfer-Encoding, Connection and
// the like; RFC 9110, section 7.6.1) are the gateway's and are refused.
package headers
