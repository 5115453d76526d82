package policy

import "context"

// Preview returns settings as SaveDraft would store them, and stores nothing; for what-if. id
// is "" for a policy that does not exist yet.
func (r *Registry) Preview(ctx context.Context, id ID, settings []Setting) ([]Setting, error) {
	valid, problems := r.catalogue.ValidateAll(settings)
	if err := problems.err(); err != nil {
		return nil, err
	}
	if id == "" {
		return r.catalogue.Seal(valid, r.sealer)
	}
	p, err := r.Policy(ctx, id)
	if err != nil {
		return nil, err
	}
	kept, err := r.kept(ctx, id)
	if err != nil {
		return nil, err
	}
	if p.Draft != nil {
		kept = append([][]Setting{p.Draft.Settings}, kept...)
	}
	return r.catalogue.Seal(valid, r.sealer, kept...)
}
