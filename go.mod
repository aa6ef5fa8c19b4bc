module github.com/linnet-p2p/linnet

go 1.26
