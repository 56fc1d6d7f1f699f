package awskms

import (
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxAnswer bounds an answer. The longest sound one is a wrapped key of 6 KiB.
const maxAnswer = 64 << 10

var (
	errTooLong    = errors.New("answer is longer than 64 KiB")
	errRedirected = errors.New("answer comes from another host")
)

// bounded is an HTTP client that reads answers up to maxAnswer, and takes none
// from a host that a redirect leads to.
type bounded struct{ client aws.HTTPClient }

func (b bounded) Do(req *http.Request) (*http.Response, error) {
	res, err := b.client.Do(req)
	if err != nil {
		return res, err
	}
	if from := res.Request; from != nil && (from.URL.Scheme != req.URL.Scheme || from.URL.Host != req.URL.Host) {
		return nil, errors.Join(errRedirected, res.Body.Close())
	}
	if res.ContentLength > maxAnswer {
		return nil, errors.Join(errTooLong, res.Body.Close())
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: maxAnswer}
	return res, nil
}

// A boundedBody fails where a longer body would go on.
type boundedBody struct {
	io.ReadCloser

	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	// One byte more than is left tells the end from too much.
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		n, err = b.left, errTooLong
	}
	b.left -= n
	return n, err
}
