// csi stands in for spiffe-csi, which the Go module proxy does not have: the node's half of the CSI
// driver csi.spiffe.io, which shows a folder with the Workload API's socket to pods, read-only.
//
//	csi FOLDER PLUGIN-FOLDER REGISTRATION-FOLDER
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driver = "csi.spiffe.io"

type server struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	registration.UnimplementedRegistrationServer
	folder, socket string
}

func (s *server) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: registration.CSIPlugin, Name: driver,
		Endpoint: s.socket, SupportedVersions: []string{"1.0.0"}}, nil
}

func (s *server) NotifyRegistrationStatus(_ context.Context, in *registration.RegistrationStatus) (
	*registration.RegistrationStatusResponse, error) {
	log.Printf("registered: %v %s", in.PluginRegistered, in.Error)
	return &registration.RegistrationStatusResponse{}, nil
}

func (s *server) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (
	*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driver, VendorVersion: "0"}, nil
}

func (s *server) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (
	*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

func (s *server) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (s *server) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse,
	error) {
	return &csi.NodeGetInfoResponse{NodeId: "node"}, nil
}

func (s *server) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (
	*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

// As spiffe-csi: ephemeral volumes only, and read-only ones.
func (s *server) NodePublishVolume(_ context.Context, in *csi.NodePublishVolumeRequest) (
	*csi.NodePublishVolumeResponse, error) {
	if in.VolumeContext["csi.storage.k8s.io/ephemeral"] != "true" || !in.Readonly {
		return nil, status.Error(codes.InvalidArgument, "an ephemeral, read-only volume is needed")
	}
	if err := os.Mkdir(in.TargetPath, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	if err := unix.Mount(s.folder, in.TargetPath, "", unix.MS_BIND, ""); err != nil {
		return nil, err
	}
	flags := uintptr(unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY)
	return &csi.NodePublishVolumeResponse{}, unix.Mount("", in.TargetPath, "", flags, "")
}

func (s *server) NodeUnpublishVolume(_ context.Context, in *csi.NodeUnpublishVolumeRequest) (
	*csi.NodeUnpublishVolumeResponse, error) {
	err := unix.Unmount(in.TargetPath, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, os.RemoveAll(in.TargetPath)
}

func serve(path string, register func(*grpc.Server)) {
	listening, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	made := grpc.NewServer()
	register(made)
	log.Fatal(made.Serve(listening))
}

func main() {
	s := &server{folder: os.Args[1], socket: filepath.Join(os.Args[2], "csi.sock")}
	go serve(s.socket, func(made *grpc.Server) {
		csi.RegisterIdentityServer(made, s)
		csi.RegisterNodeServer(made, s)
	})
	serve(filepath.Join(os.Args[3], driver+"-reg.sock"), func(made *grpc.Server) {
		registration.RegisterRegistrationServer(made, s)
	})
}
