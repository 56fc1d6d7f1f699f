package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/schema"
)

const (
	manifestName    = "manifest.json"
	metaSuffix      = ".meta.json"
	manifestVersion = 1
	maxDirFiles     = 200_000
	maxDirBytes     = 1 << 30
)

// A Dir is a [schema.Source] and a [schema.GUIDSource] of schemas in files. It
// is immutable and safe for concurrent use.
type Dir struct {
	ids      map[int]*Schema
	guids    map[[16]byte]*Schema
	places   map[place]*Schema
	subjects map[int][]string
	texts    map[*Schema]schema.Text
}

var (
	_ schema.Source     = (*Dir)(nil)
	_ schema.GUIDSource = (*Dir)(nil)
)

// A manifest lists the files of a snapshot with their SHA-256, and the versions
// of subjects that its schemas are. Those come and go, so they stand in the one
// file that is ever replaced.
type manifest struct {
	Version  int                         `json:"version"`
	Files    map[string]string           `json:"files"`
	Versions map[string][]SubjectVersion `json:"versions,omitempty"` // by stem
}

// A meta is what stands beside a schema text.
type meta struct {
	Schema

	versions []SubjectVersion
}

func (m *meta) read(c *cursor) error {
	return c.object(func(key string) (err error) {
		switch key {
		case "guid":
			m.GUID, err = c.text()
		case "subject":
			m.Subject, err = c.text()
		case "versions":
			m.versions, err = readVersions(c)
		case "references":
			err = c.array(func() error {
				var r Reference
				err := r.read(c)
				m.References = append(m.References, r)
				return err
			})
		case "metadata":
			m.Metadata, err = readMetadata(c)
		case "ruleSet":
			m.RuleSet, err = readRuleSet(c)
		default:
			// A misspelt "metadata" would lose tags.
			return decodeError("a member that is not known")
		}
		return err
	})
}

func readVersions(c *cursor) (list []SubjectVersion, err error) {
	err = c.array(func() error {
		var v SubjectVersion
		err := v.read(c)
		list = append(list, v)
		return err
	})
	return list, err
}

// LoadDir reads a directory of schemas, and checks that all their references are
// there. The text of schema 7 stands in the file 7.avsc, 7.json or 7.proto,
// according to its language; a GUID may stand in place of the id. Beside it, in
// 7.meta.json, may stand what the text does not say:
//
//	{"guid": "...",
//	 "versions": [{"subject": "orders-value", "version": 3}],
//	 "references": [{"name": "...", "subject": "...", "version": 1}],
//	 "metadata": {"tags": {"com.acme.Order.email": ["PII"]}},
//	 "ruleSet": {...}}
//
// with references, metadata and ruleSet in the form that registries have.
//
// If there is a manifest, as [Client.Snapshot] writes it, only its files are
// read, and each must be there as it was written. Other files are ignored with
// one, and errors without.
func LoadDir(path string) (*Dir, error) {
	files, listed, err := readDir(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{
		ids: map[int]*Schema{}, guids: map[[16]byte]*Schema{}, places: map[place]*Schema{},
		subjects: map[int][]string{}, texts: map[*Schema]schema.Text{},
	}
	metas := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, metaSuffix) {
			metas++
			continue
		}
		stem, format, ok := dirFormat(name)
		if !ok {
			return nil, fmt.Errorf("registry: %s: the name is neither <id>.avsc, .json, .proto nor <id>%s", filepath.Join(path, name), metaSuffix)
		}
		m := meta{}
		if beside, ok := files[stem+metaSuffix]; ok {
			metas--
			if err := decode(beside, m.read); err != nil {
				return nil, fmt.Errorf("registry: %s: %w", filepath.Join(path, stem+metaSuffix), err)
			}
		}
		m.Type, m.Text = string(format), string(files[name])
		m.versions = append(m.versions, listed[stem]...)
		if err := d.add(stem, &m); err != nil {
			return nil, fmt.Errorf("registry: %s: %w", filepath.Join(path, name), err)
		}
	}
	if metas != 0 {
		return nil, fmt.Errorf("registry: %s: a file %s without a schema", path, metaSuffix)
	}
	for _, s := range d.all() {
		r := &resolver{fetch: d.place, maxBytes: defaultMaxAnswer, tags: true}
		text, err := r.text(s)
		if err != nil {
			return nil, fmt.Errorf("registry: %s: schema %s: %w", path, s.stem(), err)
		}
		d.texts[s] = text
	}
	return d, nil
}

// refPrefix begins the names of files of schemas that are known by version alone,
// because their ids belong to another context.
const refPrefix = "ref-"

// add makes one schema known under all its names.
func (d *Dir) add(stem string, m *meta) error {
	s := &m.Schema
	if s.Text == "" {
		return wrap(ErrInvalid, "empty")
	}
	_, named := parseGUID(stem)
	if ref := strings.HasPrefix(stem, refPrefix); !named && !ref {
		id, err := strconv.ParseInt(stem, 10, 32)
		if err != nil || id <= 0 || strconv.FormatInt(id, 10) != stem {
			return wrap(ErrInvalid, "the name is no id")
		}
		s.ID = int(id)
	} else if named && s.GUID == "" {
		s.GUID = stem
	}
	if err := s.check(); err != nil {
		return err
	}
	if s.GUID != "" {
		guid, ok := parseGUID(s.GUID)
		if !ok || named && s.GUID != stem {
			return wrap(ErrInvalid, "the GUID is none, or another one")
		}
		if d.guids[guid] != nil {
			return wrap(ErrInvalid, "the GUID stands twice")
		}
		d.guids[guid] = s
	}
	if s.ID != 0 {
		if d.ids[s.ID] != nil {
			return wrap(ErrInvalid, "the id stands twice")
		}
		d.ids[s.ID] = s
	}
	for _, v := range m.versions {
		p := place{subject: v.Subject, version: v.Version}
		if p.subject == "" || p.version <= 0 || d.places[p] != nil {
			return wrap(ErrInvalid, "a version that is none, or stands twice")
		}
		d.places[p] = s
		if s.ID != 0 {
			d.subjects[s.ID] = append(d.subjects[s.ID], v.Subject)
		}
	}
	return nil
}

func (d *Dir) place(p place) (*Schema, error) {
	s, ok := d.places[p]
	if !ok {
		return nil, schema.ErrNotFound
	}
	return s, nil
}

// all returns each schema that has an id or a GUID once, in the order of their
// names. The others are found through them.
func (d *Dir) all() []*Schema {
	var list []*Schema
	for _, s := range d.ids {
		list = append(list, s)
	}
	for _, s := range d.guids {
		if s.ID == 0 {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *Schema) int { return strings.Compare(a.stem(), b.stem()) })
	return list
}

// stem is the name of the files of a schema.
func (s *Schema) stem() string {
	if s.ID != 0 {
		return strconv.Itoa(s.ID)
	}
	return s.GUID
}

// Schema returns the text under id.
func (d *Dir) Schema(_ context.Context, id int) (schema.Text, error) {
	s, ok := d.ids[id]
	if !ok {
		return schema.Text{}, wrap(schema.ErrNotFound, "no schema "+strconv.Itoa(id)+" in the directory")
	}
	return d.texts[s], nil
}

// SchemaByGUID returns the text under the id that holds in all registries.
func (d *Dir) SchemaByGUID(_ context.Context, guid [16]byte) (schema.Text, error) {
	s, ok := d.guids[guid]
	if !ok {
		return schema.Text{}, wrap(schema.ErrNotFound, "no schema "+formatGUID(guid)+" in the directory")
	}
	return d.texts[s], nil
}

// SubjectsOf returns the subjects that the directory names for an id.
func (d *Dir) SubjectsOf(_ context.Context, id int) ([]string, error) {
	if d.ids[id] == nil {
		return nil, wrap(schema.ErrNotFound, "no schema "+strconv.Itoa(id)+" in the directory")
	}
	names := slices.Clone(d.subjects[id])
	slices.Sort(names)
	return slices.Compact(names), nil
}

// dirFormat returns what the name of a file says.
func dirFormat(name string) (stem string, format schema.Format, ok bool) {
	switch ext := filepath.Ext(name); ext {
	case ".avsc":
		return strings.TrimSuffix(name, ext), schema.Avro, true
	case ".json":
		return strings.TrimSuffix(name, ext), schema.JSONSchema, true
	case ".proto":
		return strings.TrimSuffix(name, ext), schema.Protobuf, true
	default:
		return "", "", false
	}
}

func extension(typ string) string {
	switch schema.Format(typ) {
	case schema.JSONSchema:
		return ".json"
	case schema.Protobuf:
		return ".proto"
	default:
		return ".avsc"
	}
}

// readDir returns the files of a directory, checked against its manifest if it
// has one.
func readDir(path string) (files map[string][]byte, versions map[string][]SubjectVersion, err error) {
	m, err := readManifest(path)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	if m != nil {
		names, versions = slices.Sorted(maps.Keys(m.Files)), m.Versions
	} else {
		list, err := os.ReadDir(path)
		if err != nil {
			return nil, nil, fmt.Errorf("registry: %w", err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
	}
	if len(names) > maxDirFiles {
		return nil, nil, wrap(ErrLimit, "too many files in the directory")
	}
	files = make(map[string][]byte, len(names))
	total := 0
	for _, name := range names {
		b, err := readFile(filepath.Join(path, name))
		if err != nil {
			return nil, nil, err
		}
		if total += len(b); total > maxDirBytes {
			return nil, nil, wrap(ErrLimit, "the directory is too large")
		}
		if m != nil && m.Files[name] != hexDigest(b) {
			return nil, nil, fmt.Errorf("registry: %s is not what the manifest says: %w", filepath.Join(path, name), ErrChanged)
		}
		files[name] = b
	}
	return files, versions, nil
}

// readManifest returns the manifest of a directory, or nil if it has none.
func readManifest(path string) (*manifest, error) {
	b, err := readFile(filepath.Join(path, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := manifest{}
	err = decode(b, func(c *cursor) error {
		return c.object(func(key string) (err error) {
			switch key {
			case "version":
				m.Version, err = c.integer()
			case "files":
				m.Files, err = c.textMap()
			case "versions":
				m.Versions = map[string][]SubjectVersion{}
				err = c.object(func(stem string) (err error) {
					m.Versions[stem], err = readVersions(c)
					return err
				})
			default:
				err = decodeError("a member that is not known")
			}
			return err
		})
	})
	if err == nil && m.Version != manifestVersion {
		err = wrap(ErrUnsupported, "another version of the manifest")
	}
	for name := range m.Files {
		if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			err = wrap(ErrInvalid, "a file outside of the directory")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("registry: %s: %w", filepath.Join(path, manifestName), err)
	}
	return &m, nil
}

// readFile reads a regular file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("registry: %s is no regular file: %w", path, ErrInvalid)
	}
	const most = 32 << 20 // of a manifest; texts are checked for themselves
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(b) > most {
		err = ErrLimit
	}
	if err != nil {
		return nil, fmt.Errorf("registry: %s: %w", path, err)
	}
	return b, nil
}

func hexDigest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
