module github.com/pasta-net/pasta/tests/tools/rootlesskit1

go 1.26.0

tool github.com/rootless-containers/rootlesskit/cmd/rootlesskit

require (
	github.com/cpuguy83/go-md2man/v2 v2.0.2 // indirect
	github.com/gofrs/flock v0.8.1 // indirect
	github.com/google/uuid v1.3.0 // indirect
	github.com/gorilla/mux v1.8.0 // indirect
	github.com/insomniacslk/dhcp v0.0.0-20230516061539-49801966e6cb // indirect
	github.com/josharian/native v1.1.0 // indirect
	github.com/moby/sys/mountinfo v0.6.2 // indirect
	github.com/moby/vpnkit v0.5.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.17 // indirect
	github.com/rootless-containers/rootlesskit v1.1.1 // indirect
	github.com/russross/blackfriday/v2 v2.1.0 // indirect
	github.com/sirupsen/logrus v1.9.2 // indirect
	github.com/songgao/water v0.0.0-20200317203138-2b4b6d7c09d8 // indirect
	github.com/u-root/uio v0.0.0-20230305220412-3e8cd9d6bf63 // indirect
	github.com/urfave/cli/v2 v2.25.5 // indirect
	github.com/xrash/smetrics v0.0.0-20201216005158-039620a65673 // indirect
	golang.org/x/net v0.10.0 // indirect
	golang.org/x/sys v0.8.0 // indirect
)
