package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"handrail/gateway/internal/store/storetest"
	"handrail/mdm"
	"handrail/mdm/group"
)

// A group that was made is there for the very next question, while other questions are
// answered, written and given up in the middle: browsers that leave a page do that.
func TestAGroupIsThereOnceMade(t *testing.T) {
	s := storetest.Open(t)
	groups := group.New(s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				short, stop := context.WithTimeout(ctx, time.Duration(n%40)*25*time.Microsecond)
				_, _ = s.Groups(short)
				stop()
			}
		})
	}
	for n := range 120 {
		g, err := groups.Create(t.Context(), mdm.RootGroup, fmt.Sprintf("group %d", n), nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			tree, err := groups.Tree(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !tree.IsWithin(g.ID, mdm.RootGroup) {
				t.Fatalf("group %d of %d is not in the tree right after it was made", n, tree.Len())
			}
		}
	}
	cancel()
	wg.Wait()
}
