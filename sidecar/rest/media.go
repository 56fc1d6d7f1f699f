package rest

import (
	"mime"
	"strconv"
	"strings"
)

const (
	mediaV2   = "application/vnd.kafka.v2+json"
	mediaJSON = "application/json"
)

// Formats of keys and values.
const (
	formatBinary     = "binary"
	formatJSON       = "json"
	formatText       = "text"
	formatAvro       = "avro"
	formatJSONSchema = "jsonschema"
	formatProtobuf   = "protobuf"
)

// formatOf returns the format of records that a media type of version 2 names,
// or "".
func formatOf(contentType string) string {
	base := contentType
	if strings.IndexByte(base, ';') >= 0 || strings.TrimSpace(base) != base || strings.ToLower(base) != base {
		parsed, params, err := mime.ParseMediaType(contentType)
		if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
			return ""
		}
		base = parsed
	}
	switch base {
	case "application/vnd.kafka.binary.v2+json", mediaV2:
		return formatBinary
	case "application/vnd.kafka.json.v2+json", mediaJSON:
		return formatJSON
	case "application/vnd.kafka.text.v2+json":
		return formatText
	case "application/vnd.kafka.avro.v2+json":
		return formatAvro
	case "application/vnd.kafka.jsonschema.v2+json":
		return formatJSONSchema
	case "application/vnd.kafka.protobuf.v2+json":
		return formatProtobuf
	default:
		return ""
	}
}

// schemaless says whether a format needs no schema.
func schemaless(format string) bool {
	return format == formatBinary || format == formatJSON || format == formatText
}

// accept picks the media type of the answer.
func (c *call) accept(isV3 bool) *failure {
	all := c.r.Header["Accept"]
	if len(all) == 0 || len(all) == 1 && (all[0] == "*/*" || all[0] == c.media) {
		return nil
	}
	best, bestQ := "", 0.0
	consider := func(media string, q float64) {
		if q > bestQ {
			best, bestQ = media, q
		}
	}
	for _, line := range all {
		for item := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(item) == "" {
				continue
			}
			media, params, err := mime.ParseMediaType(item)
			if err != nil {
				continue
			}
			q := 1.0
			if text, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
					continue
				}
			}
			switch {
			case media == "*/*" || media == "application/*":
				consider(c.media, q)
			case media == mediaJSON:
				consider(mediaJSON, q)
			case !isV3 && (strings.HasPrefix(media, "application/vnd.kafka.") && strings.HasSuffix(media, "v2+json") || media == "application/vnd.kafka+json"):
				consider(mediaV2, q)
			}
		}
	}
	if best == "" {
		return &failure{status: 406, code: 406, reason: "not_acceptable", text: "no media type that is accepted can be given"}
	}
	c.media = best
	return nil
}

func unsupported(text string) *failure {
	return &failure{status: 415, code: 415, reason: "media_type_unsupported", text: text}
}
