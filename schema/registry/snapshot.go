package registry

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Snapshot writes all schemas that the Client holds into a directory that
// [LoadDir] and [WithSnapshot] read, with everything that they refer to. What is
// there already stays; other content under the same id is [ErrChanged]. Each
// file is written whole or not at all, and counts only once the manifest lists
// it, which is written last.
//
// Only one process at a time may write into a directory.
func (c *Client) Snapshot(dir string) error {
	snap := &snapshot{files: map[string][]byte{}, versions: map[string][]SubjectVersion{}, owners: map[place]string{}}
	byID := map[string]bool{} // GUIDs of schemas that have an id here
	for _, f := range c.ids.items() {
		byID[f.schema.GUID] = true
		if err := snap.add(strconv.Itoa(f.schema.ID), f.schema); err != nil {
			return err
		}
	}
	for _, f := range c.guids.items() {
		if byID[f.schema.GUID] {
			continue
		}
		if err := snap.add(f.schema.GUID, f.schema); err != nil {
			return err
		}
	}
	for p, s := range c.versions.items() {
		stem := strconv.Itoa(s.ID)
		if contextOf(p.subject) != "" {
			digest := digestOf(p.subject, p.version)
			stem = refPrefix + hex.EncodeToString(digest[:8])
		}
		if _, ok := snap.files[stem+extension(s.Type)]; !ok {
			bare := *s
			bare.GUID = "" // it may stand beside one that was asked for by GUID
			if err := snap.add(stem, &bare); err != nil {
				return err
			}
		}
		if err := snap.place(stem, SubjectVersion{Subject: p.subject, Version: p.version}); err != nil {
			return err
		}
	}
	for id, list := range c.subjects.items() {
		for _, v := range list {
			stem := strconv.Itoa(id)
			if _, ok := snap.formatOf(stem); ok {
				if err := snap.place(stem, v); err != nil {
					return err
				}
			}
		}
	}
	return snap.write(dir)
}

// pinSnapshot remembers what the ids of a directory stand for.
func (c *Client) pinSnapshot(d *Dir) error {
	for id, s := range d.ids {
		if err := c.pins.check(pinCore+" "+strconv.Itoa(id), s.core(), "schema "+strconv.Itoa(id)); err != nil {
			return err
		}
	}
	return nil
}

// A snapshot is what is to be written.
type snapshot struct {
	files    map[string][]byte
	versions map[string][]SubjectVersion // by stem
	owners   map[place]string            // stems of places
}

// add makes the files of a schema.
func (n *snapshot) add(stem string, s *Schema) error {
	n.files[stem+extension(s.Type)] = []byte(s.Text)
	beside := struct {
		GUID       string      `json:"guid,omitempty"`
		Subject    string      `json:"subject,omitempty"`
		References []Reference `json:"references,omitempty"`
		Metadata   *Metadata   `json:"metadata,omitempty"`
		RuleSet    *RuleSet    `json:"ruleSet,omitempty"`
	}{GUID: s.GUID, References: s.References, Metadata: s.Metadata, RuleSet: s.RuleSet}
	if contextOf(s.Subject) != "" {
		beside.Subject = s.Subject
	}
	b, err := json.MarshalIndent(beside, "", "  ")
	if err != nil {
		return fmt.Errorf("registry: schema %s cannot be written: %w", stem, ErrInvalid)
	}
	if string(b) != "{}" {
		n.files[stem+metaSuffix] = append(b, '\n')
	}
	return nil
}

// place notes that a schema is a version of a subject.
func (n *snapshot) place(stem string, v SubjectVersion) error {
	p := place{subject: v.Subject, version: v.Version}
	switch owner, ok := n.owners[p]; {
	case ok && owner == stem:
		return nil
	case ok:
		return wrap(ErrChanged, "version "+strconv.Itoa(v.Version)+" of "+strconv.Quote(v.Subject))
	}
	n.owners[p] = stem
	n.versions[stem] = append(n.versions[stem], v)
	return nil
}

func (n *snapshot) formatOf(stem string) (string, bool) {
	for _, ext := range []string{".avsc", ".json", ".proto"} {
		if _, ok := n.files[stem+ext]; ok {
			return ext, true
		}
	}
	return "", false
}

// write adds the snapshot to a directory.
func (n *snapshot) write(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	m, err := readManifest(dir)
	if err != nil {
		return err
	}
	if m == nil {
		if err := vacant(dir); err != nil {
			return err
		}
		// So that a snapshot that is cut short is an empty one.
		m = &manifest{Version: manifestVersion, Files: map[string]string{}}
		if err := writeManifest(dir, m); err != nil {
			return err
		}
	}
	if m.Files == nil {
		m.Files = map[string]string{}
	}
	if err := n.fits(dir, m.Files); err != nil {
		return err
	}
	for _, stem := range slices.Sorted(maps.Keys(m.Versions)) {
		for _, v := range m.Versions[stem] {
			if err := n.place(stem, v); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.files)) {
		kept, err := n.keep(dir, name, m)
		if err != nil {
			return err
		}
		if kept {
			continue
		}
		if err := writeFile(filepath.Join(dir, name), n.files[name]); err != nil {
			return err
		}
		m.Files[name] = hexDigest(n.files[name])
	}
	for _, list := range n.versions {
		slices.SortFunc(list, func(a, b SubjectVersion) int {
			if a.Subject != b.Subject {
				return strings.Compare(a.Subject, b.Subject)
			}
			return a.Version - b.Version
		})
	}
	m.Versions = n.versions
	return writeManifest(dir, m)
}

func writeManifest(dir string, m *manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("registry: %s cannot be written: %w", manifestName, ErrInvalid)
	}
	if err := writeFile(filepath.Join(dir, manifestName), append(b, '\n')); err != nil {
		return err
	}
	return syncDir(dir)
}

// fits fails when a schema that is listed has another language now, or something
// beside it where there was nothing, or the other way round.
func (n *snapshot) fits(dir string, listed map[string]string) error {
	for name := range listed {
		stem, _, ok := dirFormat(name)
		ext, known := n.formatOf(stem)
		if !ok || !known {
			continue
		}
		_, had := listed[stem+metaSuffix]
		_, has := n.files[stem+metaSuffix]
		if stem+ext != name || had != has {
			return fmt.Errorf("registry: %s: %w", filepath.Join(dir, name), ErrChanged)
		}
	}
	return nil
}

// keep tells whether a file of the directory stays as it is. It fails when it is
// not what it should be.
func (n *snapshot) keep(dir, name string, m *manifest) (bool, error) {
	digest, listed := m.Files[name]
	if !listed {
		return false, nil
	}
	b, err := readFile(filepath.Join(dir, name))
	if err != nil {
		return false, err
	}
	if hexDigest(b) != digest {
		return false, fmt.Errorf("registry: %s is not what the manifest says: %w", filepath.Join(dir, name), ErrChanged)
	}
	same := bytes.Equal(b, n.files[name])
	if strings.HasSuffix(name, metaSuffix) && !same {
		same = sameMeta(b, n.files[name])
	}
	if !same {
		return false, fmt.Errorf("registry: %s: %w", filepath.Join(dir, name), ErrChanged)
	}
	return true, nil
}

// sameMeta tells whether two files say the same, but for what this release does
// not know.
func sameMeta(a, b []byte) bool {
	var x, y meta
	if decode(a, x.read) != nil || decode(b, y.read) != nil {
		return false
	}
	return x.digest() == y.digest()
}

// vacant fails when a directory without a manifest holds anything: it would no
// longer count once there is one.
func vacant(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			return fmt.Errorf("registry: %s holds files and no manifest: %w", dir, ErrInvalid)
		}
	}
	return nil
}

const tempPrefix = ".fieldveil-"

// writeFile writes a file whole or not at all.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it may be gone
		return fmt.Errorf("registry: %w", err)
	}
	return nil
}

// syncDir makes the names of new files durable, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	defer d.Close() //nolint:errcheck // it was only opened for this
	_ = d.Sync()    // not every file system knows it
	return nil
}
