package slirp4netns

import (
	"context"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/netcfg/resolv"
)

// follower has the address of DNS lead to the host's present resolver.
type follower struct{ engine service.Engine }

func newFollower(r service.Run) (service.Server, error) { return follower{r.Engine}, nil }

// Serve implements service.Server.
func (f follower) Serve(ctx context.Context) {
	resolv.Follow(ctx, resolv.Path, func(c resolv.Conf) {
		_ = f.engine.SetDNSHosts(resolvers(c)) // fails at the end of the run only
	})
}
