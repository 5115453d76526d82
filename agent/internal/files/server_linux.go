package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"handrail/signaling"
	"handrail/signaling/file"
	"handrail/signaling/tool"
)

// mostJobs is how many jobs one channel may have at once.
const mostJobs = 16

func isRoot() bool { return os.Geteuid() == 0 }

// server talks with one viewer, with the rights that this process has.
type server struct {
	conn     tool.Conn
	tree     tree
	accounts accounts

	mu   sync.Mutex
	jobs map[uint32]*job
	all  sync.WaitGroup
}

// job is something a viewer asked for that is under way.
type job struct {
	*server
	id     uint32
	ctx    context.Context //nolint:containedctx // of the job: ends with the channel, or when it is cancelled
	cancel context.CancelFunc
	keep   bool     // what a cancelled put has written stays; under mu
	in     chan any // what the viewer says of it: FilesMore, FilesAck, FilesEnd, or a file.Block

	cancelled bool // by the viewer; under mu
}

// serve talks with one viewer until the channel or ctx ends.
func serve(ctx context.Context, c tool.Conn, root string, admin bool) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &server{conn: c, tree: tree{root}, jobs: map[uint32]*job{}}
	defer s.all.Wait()
	defer cancel()
	if err := tool.Tell(ctx, c, signaling.TypeFilesHello, "", s.hello(admin)); err != nil {
		return err
	}
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		if err := s.take(ctx, m); err != nil {
			return err
		}
	}
}

// take handles one message; an error ends the channel.
func (s *server) take(ctx context.Context, m tool.Message) error {
	if !m.Text {
		b, err := file.Decode(m.Data)
		if err != nil {
			return err
		}
		s.pass(b.Job, b)
		return nil
	}
	e, err := signaling.Decode(m.Data, signaling.FromViewer)
	if err != nil {
		return err
	}
	switch b := e.Body.(type) {
	case signaling.FilesList:
		return s.begin(ctx, b.Job, func(j *job) error { return j.list(b) })
	case signaling.FilesMake:
		return s.begin(ctx, b.Job, func(j *job) error { return j.make(b) })
	case signaling.FilesMove:
		return s.begin(ctx, b.Job, func(j *job) error { return j.move(b) })
	case signaling.FilesDelete:
		return s.begin(ctx, b.Job, func(j *job) error { return j.delete(b) })
	case signaling.FilesSet:
		return s.begin(ctx, b.Job, func(j *job) error { return j.set(b) })
	case signaling.FilesGet:
		return s.begin(ctx, b.Job, func(j *job) error { return j.get(b) })
	case signaling.FilesPut:
		return s.begin(ctx, b.Job, func(j *job) error { return j.put(b) })
	case signaling.FilesMore:
		s.pass(b.Job, b)
	case signaling.FilesAck:
		s.pass(b.Job, b)
	case signaling.FilesEnd:
		s.pass(b.Job, b)
	case signaling.FilesCancel:
		s.stop(b)
	default:
		return tool.NotFor(e)
	}
	return nil
}

// begin runs a job beside the others.
func (s *server) begin(ctx context.Context, id uint32, run func(*job) error) error {
	j := &job{server: s, id: id, in: make(chan any, 2*file.MaxWindow)}
	s.mu.Lock()
	_, used := s.jobs[id]
	busy := len(s.jobs) >= mostJobs
	if !used && !busy {
		j.ctx, j.cancel = context.WithCancel(ctx)
		s.jobs[id] = j
	}
	s.mu.Unlock()
	switch {
	case used:
		return fmt.Errorf("job %d is under way already", id)
	case busy:
		return tool.Tell(ctx, s.conn, signaling.TypeFilesFailed, "", signaling.FilesFailed{
			Job: id, Fault: signaling.FaultFailed, Message: "too much is under way at once; wait for something to end",
		})
	}
	s.all.Go(func() {
		err := run(j)
		s.mu.Lock()
		delete(s.jobs, id)
		s.mu.Unlock()
		j.cancel()
		var done *failure
		switch {
		case err == nil, ctx.Err() != nil, errors.Is(err, tool.ErrClosed):
		case errors.As(err, &done):
			_ = tool.Tell(ctx, s.conn, signaling.TypeFilesFailed, "", done.FilesFailed) // a channel that is gone has nobody to tell
		default:
			_ = tool.Tell(ctx, s.conn, signaling.TypeFilesFailed, "", failed(id, err)) // as above
		}
	})
	return nil
}

// failure is a failed job with figures of its own.
type failure struct{ signaling.FilesFailed }

func (f *failure) Error() string { return f.Message }

// pass hands a message to its job. A job that is over has no use for it; one that is behind makes
// the viewer wait.
func (s *server) pass(id uint32, m any) {
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	if j == nil {
		return
	}
	select {
	case j.in <- m:
	case <-j.ctx.Done():
	}
}

func (s *server) stop(c signaling.FilesCancel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[c.Job]; j != nil {
		j.keep, j.cancelled = c.Keep, true
		j.cancel()
	}
}

func (j *job) tell(t signaling.Type, body any) error { return tool.Tell(j.ctx, j.conn, t, "", body) }

func (j *job) done(d signaling.FilesDone) error {
	d.Job = j.id
	return j.tell(signaling.TypeFilesDone, d)
}

// hello says as whom files are shown, and where to begin.
func (s *server) hello(admin bool) signaling.FilesHello {
	h := signaling.FilesHello{Admin: admin, User: s.accounts.user(uint32(os.Geteuid())), Home: signaling.NameFile("/")} //nolint:gosec // an account's number
	if home := s.home(); home != "" {
		h.Home = signaling.NameFile(home)
		h.Places = s.place(h.Places, "home", home)
		for _, kind := range []string{"desktop", "documents", "downloads"} {
			h.Places = s.place(h.Places, kind, known(home, kind))
		}
	}
	h.Places = s.place(h.Places, "root", "/")
	for _, at := range s.disks() {
		h.Places = s.place(h.Places, "disk", at)
	}
	return h
}

// mostPlaces is how many places are told.
const mostPlaces = 32

func (s *server) place(list []signaling.FilePlace, kind, at string) []signaling.FilePlace {
	if len(list) >= mostPlaces {
		return list
	}
	at, err := s.tree.follow(at)
	if err != nil {
		return list
	}
	for _, p := range list {
		if p.Path.Bytes() == at {
			return list
		}
	}
	d, err := s.tree.open(at)
	if err != nil {
		return list
	}
	defer d.close()
	bytes, free := d.space()
	return append(list, signaling.FilePlace{Kind: kind, Path: signaling.NameFile(at), Bytes: bytes, Free: free})
}

// home is the account's, where there is a folder. Only the root of the running system has one.
func (s *server) home() string {
	u, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	at := os.Getenv("HOME")
	if err == nil && at == "" {
		at = u.HomeDir
	}
	if s.tree.root != "/" {
		rel, err := filepath.Rel(s.tree.root, at)
		if err != nil || strings.HasPrefix(rel, "..") {
			return ""
		}
		at = "/" + rel
	}
	home, err := s.tree.follow(at)
	if err != nil {
		return ""
	}
	d, err := s.tree.open(home)
	if err != nil {
		return ""
	}
	d.close()
	return home
}

// known returns a folder of a person's, as xdg-user-dirs keeps it: it has a name in their language.
func known(home, kind string) string {
	names := map[string]string{"desktop": "Desktop", "documents": "Documents", "downloads": "Downloads"}
	keys := map[string]string{"desktop": "XDG_DESKTOP_DIR", "documents": "XDG_DOCUMENTS_DIR", "downloads": "XDG_DOWNLOAD_DIR"}
	b, err := os.ReadFile(filepath.Join(home, ".config", "user-dirs.dirs")) //nolint:gosec // with this person's own rights
	if err == nil && len(b) < 64<<10 {
		for line := range strings.Lines(string(b)) {
			value, ok := strings.CutPrefix(strings.TrimSpace(line), keys[kind]+"=")
			if !ok {
				continue
			}
			value = strings.Trim(value, `"`)
			if rest, ok := strings.CutPrefix(value, "$HOME/"); ok && rest != "" {
				return path.Join(home, rest)
			}
			if strings.HasPrefix(value, "/") {
				return value
			}
		}
	}
	return path.Join(home, names[kind])
}

// disks are where file systems are mounted that a person would look for.
func (s *server) disks() []string {
	if s.tree.root != "/" {
		return nil
	}
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasPrefix(f[0], "/dev/") {
			continue // those of other machines too: to ask one that is gone is to wait for it
		}
		at := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(f[1])
		var st unix.Stat_t
		if unix.Lstat(at, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			out = append(out, at)
		}
	}
	return out
}
