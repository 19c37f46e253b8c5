package scenario

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// repetition is {text*N}: text, N times.
var repetition = regexp.MustCompile(`\{([^{}]+)\*(\d+)\}`)

// maxText bounds what one line of a case can become.
const maxText = 4 << 20

// expand turns the text of a case into bytes: {text*N}, then \r \n \t \0 \s
// (a space), \\ \" and \xNN.
func expand(s string) (string, error) {
	s = repetition.ReplaceAllStringFunc(s, func(m string) string {
		p := repetition.FindStringSubmatch(m)
		n, err := strconv.Atoi(p[2])
		if err != nil || n*len(p[1]) > maxText {
			return m
		}
		return strings.Repeat(p[1], n)
	})
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", fmt.Errorf(`a \ at the end of %q: write \\ for a backslash`, s)
		}
		switch c := s[i]; c {
		case 'r', 'n', 't', '0', 's':
			b.WriteByte(map[byte]byte{'r': '\r', 'n': '\n', 't': '\t', '0': 0, 's': ' '}[c])
		case '\\', '"':
			b.WriteByte(c)
		case 'x':
			if i+2 >= len(s) {
				return "", fmt.Errorf(`\x without two digits in %q`, s)
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf(`\x without two digits in %q`, s)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`unknown escape \%c in %q`, c, s)
		}
	}
	return b.String(), nil
}

// words splits a line at spaces; "quoted text" is one word, which keeps its
// quotes so that it can be told from others.
func words(line string) ([]string, error) {
	var out []string
	for {
		line = strings.TrimLeft(line, " ")
		if line == "" {
			return out, nil
		}
		end := strings.IndexByte(line, ' ')
		if line[0] == '"' {
			if end = closingQuote(line); end < 0 {
				return nil, fmt.Errorf("no closing quote in %q", line)
			}
			end++
		}
		if end < 0 {
			end = len(line)
		}
		out = append(out, line[:end])
		line = line[end:]
	}
}

func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// unquote returns the bytes of a quoted word.
func unquote(word string) (string, bool, error) {
	if len(word) < 2 || word[0] != '"' {
		return "", false, nil
	}
	s, err := expand(word[1 : len(word)-1])
	return s, true, err
}

// A field is a name and a value, in any bytes.
type field struct{ name, value string }

// parseField reads "name: value". A name may begin with a colon; other colons in
// it are written \x3a.
func parseField(line string) (field, error) {
	name, value, ok := strings.Cut(line, ": ")
	if !ok {
		if name, ok = strings.CutSuffix(line, ":"); !ok {
			return field{}, fmt.Errorf("%q is not a field: write name: value", line)
		}
	}
	name, err := expand(name)
	if err != nil {
		return field{}, err
	}
	value, err = expand(strings.TrimLeft(value, " "))
	return field{name, value}, err
}

func parseFields(lines []string) ([]field, error) {
	var out []field
	for _, l := range lines {
		n := 1
		if rest, ok := strings.CutPrefix(l, "repeat "); ok {
			count, rest, _ := strings.Cut(rest, " ")
			var err error
			if n, err = strconv.Atoi(count); err != nil {
				return nil, fmt.Errorf("%q: repeat takes a number", l)
			}
			l = rest
		}
		f, err := parseField(l)
		if err != nil {
			return nil, err
		}
		for range n {
			out = append(out, f)
		}
	}
	return out, nil
}

// rawText joins lines that begin with | (ends with CRLF) or > (does not).
func rawText(items []item) (string, error) {
	var b strings.Builder
	for _, it := range items {
		mark, rest := it.text[0], strings.TrimPrefix(it.text[1:], " ")
		if mark != '|' && mark != '>' {
			return "", it.errorf("raw lines begin with | or >, and a step has either raw lines or others")
		}
		s, err := expand(rest)
		if err != nil {
			return "", it.errorf("%v", err)
		}
		b.WriteString(s)
		if mark == '|' {
			b.WriteString("\r\n")
		}
	}
	return b.String(), nil
}

func isRaw(it item) bool { return it.text[0] == '|' || it.text[0] == '>' }

// A bodyWord is a line's quoted text, if it has one.
func bodyWord(ws []string) (body string, has bool, err error) {
	for _, w := range ws {
		if s, quoted, err := unquote(w); quoted || err != nil {
			return s, true, err
		}
	}
	return "", false, nil
}
