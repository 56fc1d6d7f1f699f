package rest

import (
	"net/http"
	"strings"
)

// A route is one path and method. Segments in braces match anything.
type route struct {
	name     string // "POST /topics/{topic}"
	segments []string
	method   string
	op       Operation // "" for what needs no permission
	v3       bool
	serve    func(*call)
}

func v2(method, path string, op Operation, serve func(*call)) route {
	return route{name: method + " " + path, segments: strings.Split(path[1:], "/"), method: method, op: op, serve: serve}
}

func v3(method, path string, op Operation, serve func(*call)) route {
	r := v2(method, "/v3/clusters"+path, op, serve)
	r.v3 = true
	return r
}

const ofTopic = "/{cluster_id}/topics/{topic}"

//nolint:gochecknoglobals // a table that nobody changes
var routes = []route{
	v2(http.MethodPost, "/topics/{topic}", OpProduce, (*call).produceV2),
	v2(http.MethodPost, "/topics/{topic}/partitions/{partition}", OpProduce, (*call).produceV2),
	v2(http.MethodPost, "/topics/{topic}/raw", OpProduce, (*call).produceRaw),
	v3(http.MethodPost, ofTopic+"/records", OpProduce, (*call).produceStream),
	v3(http.MethodPost, ofTopic+"/records:batch", OpProduce, (*call).produceBatch),

	v2(http.MethodGet, "/", "", (*call).root),
	v2(http.MethodGet, "/topics", OpList, (*call).topicsV2),
	v2(http.MethodGet, "/topics/{topic}", OpDescribe, (*call).topicV2),
	v2(http.MethodGet, "/topics/{topic}/partitions", OpDescribe, (*call).partitionsV2),
	v2(http.MethodGet, "/topics/{topic}/partitions/{partition}", OpDescribe, (*call).partitionV2),
	v2(http.MethodGet, "/topics/{topic}/partitions/{partition}/offsets", OpDescribe, (*call).offsetsV2),
	v2(http.MethodGet, "/brokers", OpList, (*call).brokersV2),

	v3(http.MethodGet, "", OpList, (*call).clustersV3),
	v3(http.MethodGet, "/{cluster_id}", OpList, (*call).clusterV3),
	v3(http.MethodGet, "/{cluster_id}/brokers", OpList, (*call).brokersV3),
	v3(http.MethodGet, "/{cluster_id}/brokers/{broker_id}", OpList, (*call).brokerV3),
	v3(http.MethodGet, "/{cluster_id}/topics", OpList, (*call).topicsV3),
	v3(http.MethodGet, ofTopic, OpDescribe, (*call).topicV3),
	v3(http.MethodGet, ofTopic+"/configs", OpDescribe, (*call).configsV3),
	v3(http.MethodGet, ofTopic+"/partitions", OpDescribe, (*call).partitionsV3),
	v3(http.MethodGet, ofTopic+"/partitions/{partition}", OpDescribe, (*call).partitionV3),

	v2(http.MethodGet, "/openapi.yaml", "", (*call).openAPIYAML),
	v2(http.MethodGet, "/openapi.json", "", (*call).openAPIJSON),
}

// match returns the segments in braces of path.
func (rt *route) match(path string, params *[3]string) bool {
	n := 0
	for i, want := range rt.segments {
		seg, rest, more := strings.Cut(path, "/")
		if more == (i == len(rt.segments)-1) {
			return false
		}
		switch {
		case want != "" && want[0] == '{':
			if seg == "" {
				return false
			}
			params[n] = seg
			n++
		case want != seg:
			return false
		}
		path = rest
	}
	return true
}

// route finds what serves a path. Whatever else a path holds is not shown.
func (c *call) route(method, path string) (*route, *failure) {
	if path == "" || path[0] != '/' {
		return nil, notFound("no such path")
	}
	path = path[1:]
	if strings.HasPrefix(path, "kafka/v3/") {
		path = path[len("kafka/"):]
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for i := range routes {
		rt := &routes[i]
		if !rt.match(path, &c.params) {
			continue
		}
		if rt.method != method {
			allowed = append(allowed, rt.method)
			c.v3 = rt.v3
			continue
		}
		c.bind(rt)
		return rt, nil
	}
	switch {
	case len(allowed) > 0:
		c.allow = strings.Join(allowed, ", ")
		return nil, &failure{status: 405, code: 405, reason: "method_unknown", text: "the path does not take this method"}
	case path == "consumers" || strings.HasPrefix(path, "consumers/"):
		return nil, notFound("this is a proxy for producers: it has no consumers")
	default:
		return nil, notFound("no such path")
	}
}

// bind names the segments.
func (c *call) bind(rt *route) {
	n := 0
	for _, seg := range rt.segments {
		if seg == "" || seg[0] != '{' {
			continue
		}
		switch seg {
		case "{topic}":
			c.topic = c.params[n]
		case "{cluster_id}":
			c.cluster = c.params[n]
		default:
			c.params[2] = c.params[n] // a partition or a broker, always the last
		}
		n++
	}
}

// Routes returns the routes that a [Server] has, as [RequestInfo] names them.
func Routes() []string {
	out := make([]string, len(routes))
	for i := range routes {
		out[i] = routes[i].name
	}
	return out
}
