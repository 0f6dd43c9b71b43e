package gather

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// AssetOptions say what to list of the asset inventory.
type AssetOptions struct {
	Options
	Types    []string  // asset types
	ReadTime time.Time // the zero time: now
	// Resume names a file that keeps the assets as they come: an export itself,
	// with a comment behind each page. A list that broke off goes on from there.
	Resume string
}

var listAssets = Method{"cloudasset.assets.list", "cloudasset.googleapis.com", "cloudasset.assets.listResource, cloudasset.assets.listIamPolicy and cloudasset.assets.listOrgPolicy", "roles/cloudasset.viewer", "organization, or folder or project",
	"a live scan"}

// scopes are the resources that can be scanned.
var scopes = regexp.MustCompile(`^(organizations|folders)/\d+$|^projects/[a-z0-9][a-z0-9.:-]*$`)

// IsScope reports whether a text names a resource that can be read from: an
// organization, folder or project.
func IsScope(s string) bool { return scopes.MatchString(s) }

// contents are the kinds of content that a scan needs, each a list of its own.
var contents = []assetpb.ContentType{assetpb.ContentType_RESOURCE, assetpb.ContentType_IAM_POLICY, assetpb.ContentType_ORG_POLICY}

// pageMark is the comment behind a page in the file to resume from.
const pageMark = "# page"

// Assets lists the assets of a scope, each as a line of JSON, until yield
// returns false. What was kept of an earlier run comes first. The kinds of
// content are read at the same time.
func Assets(ctx context.Context, o AssetOptions, yield func([]byte) bool) error {
	o.Options = o.Options.withDefaults()
	o.CallTimeout = max(o.CallTimeout, time.Minute)
	if !scopes.MatchString(o.Scope) {
		return errors.New("--scope must be organizations/NUMBER, folders/NUMBER or projects/PROJECT")
	}
	r, err := readerOf(ctx, o.Options)
	if err != nil {
		return err
	}
	if p, ok := strings.CutPrefix(o.Scope, "projects/"); ok {
		r.countFor(p)
	} else {
		r.countFor(o.Defaults.Project)
	}
	if r.check != nil {
		if err := r.check(ctx); err != nil {
			return err
		}
	}
	c := &collector{Options: o.Options, clients: newClients(ctx, r.options)}
	defer c.clients.close()
	kept, err := openResume(o.Resume, yield)
	if err != nil {
		return err
	}
	defer kept.close()
	pages, failed := make(chan page), make(chan error, len(contents))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, content := range contents {
		go func() { failed <- c.list(ctx, o, content, kept.next[content.String()], pages) }()
	}
	var errs []error
	for running := len(contents); running > 0; {
		select {
		case p := <-pages:
			for _, l := range p.lines {
				if !yield(l) {
					return nil
				}
			}
			if err := kept.add(p); err != nil {
				return err
			}
		case err := <-failed:
			running--
			if err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// A page is one answer, and where the next one is.
type page struct {
	content string
	lines   [][]byte
	next    string // "" for the last page
}

// ended stands for the token of a list that was read to its end.
const ended = "end"

func (c *collector) list(ctx context.Context, o AssetOptions, content assetpb.ContentType, token string, pages chan<- page) error {
	for token != ended {
		request := &assetpb.ListAssetsRequest{Parent: o.Scope, AssetTypes: o.Types, ContentType: content, PageSize: 1000, PageToken: token}
		if !o.ReadTime.IsZero() {
			request.ReadTime = timestamppb.New(o.ReadTime)
		}
		p, err := call(ctx, c, listAssets, o.Scope, func(ctx context.Context, option gax.CallOption) (page, error) { return c.page(ctx, request, option) })
		if err != nil {
			return err
		}
		p.content = content.String()
		select {
		case pages <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		if token = p.next; token == "" {
			return nil
		}
	}
	return nil
}

func (c *collector) page(ctx context.Context, request *assetpb.ListAssetsRequest, option gax.CallOption) (page, error) {
	client, err := c.asset()
	if err != nil {
		return page{}, err
	}
	var assets []*assetpb.Asset
	next, err := iterator.NewPager(client.ListAssets(ctx, request, option), int(request.GetPageSize()), request.GetPageToken()).NextPage(&assets)
	if err != nil {
		return page{}, err
	}
	p := page{next: next}
	for _, a := range assets {
		l, err := protojson.Marshal(a)
		if err != nil {
			return page{}, fmt.Errorf("encoding %s: %w", a.GetName(), err)
		}
		p.lines = append(p.lines, l)
	}
	return p, nil
}

// A resume keeps pages in a file.
type resume struct {
	file *os.File
	next map[string]string // by kind of content
}

// openResume reads what an earlier run kept. A page that was not written whole
// is dropped, and asked for again.
func openResume(name string, yield func([]byte) bool) (*resume, error) {
	r := &resume{next: map[string]string{}}
	if name == "" {
		return r, nil
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	r.file = file
	var lines [][]byte
	var at, whole int64
	in := bufio.NewReader(file)
	for {
		l, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		at += int64(len(l))
		if mark, ok := strings.CutPrefix(string(bytes.TrimSpace(l)), pageMark+" "); ok {
			content, token, _ := strings.Cut(mark, " ")
			r.next[content], whole = token, at
			for _, x := range lines {
				if !yield(x) {
					return r, nil
				}
			}
			lines = nil
			continue
		}
		lines = append(lines, bytes.TrimSpace(l))
	}
	if err := file.Truncate(whole); err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	_, err = file.Seek(whole, 0)
	return r, err
}

func (r *resume) add(p page) error {
	if r.file == nil {
		return nil
	}
	next := p.next
	if next == "" {
		next = ended
	}
	var b bytes.Buffer
	for _, l := range p.lines {
		b.Write(l)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s %s %s\n", pageMark, p.content, next)
	if _, err := r.file.Write(b.Bytes()); err != nil {
		return fmt.Errorf("--resume: %w", err)
	}
	return nil
}

func (r *resume) close() {
	if r.file != nil {
		r.file.Close()
	}
}
