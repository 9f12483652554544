// signer answers PodCertificateRequests with X509-SVIDs of the pod's service account, and publishes
// its CA as a ClusterTrustBundle. It stands in for the signer that a cluster brings.
//
//	signer KUBECONFIG SIGNER-NAME TRUST-DOMAIN
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log"
	"math/big"
	"net/url"
	"os"
	"strings"
	"time"

	certificates "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	domain      string
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func text(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func newAuthority(domain string) *authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(48 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, URIs: []*url.URL{{Scheme: "spiffe", Host: domain}}}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &authority{must(x509.ParseCertificate(der)), key, domain}
}

func (a *authority) answer(request *certificates.PodCertificateRequest) {
	asked := must(x509.ParseCertificateRequest(request.Spec.StubPKCS10Request))
	begin := time.Now().Add(-time.Minute).Truncate(time.Second).UTC()
	end := begin.Add(2 * time.Hour)
	template := &x509.Certificate{SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))),
		NotBefore: begin, NotAfter: end, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs: []*url.URL{{Scheme: "spiffe", Host: a.domain,
			Path: "/ns/" + request.Namespace + "/sa/" + request.Spec.ServiceAccountName}}}
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, asked.PublicKey, a.key))
	refresh := begin.Add(time.Hour)
	request.Status = certificates.PodCertificateRequestStatus{
		CertificateChain: text(der), NotBefore: &meta.Time{Time: begin},
		NotAfter: &meta.Time{Time: end}, BeginRefreshAt: &meta.Time{Time: refresh},
		Conditions: []meta.Condition{{Type: certificates.PodCertificateRequestConditionTypeIssued,
			Status: meta.ConditionTrue, Reason: "Issued", LastTransitionTime: meta.Now()}}}
}

func main() {
	config := must(clientcmd.BuildConfigFromFlags("", os.Args[1]))
	api := must(kubernetes.NewForConfig(config)).CertificatesV1()
	name, made, ctx := os.Args[2], newAuthority(os.Args[3]), context.Background()
	bundle := &certificates.ClusterTrustBundle{
		ObjectMeta: meta.ObjectMeta{Name: strings.ReplaceAll(name, "/", ":") + ":ca"},
		Spec: certificates.ClusterTrustBundleSpec{SignerName: name,
			TrustBundle: text(made.certificate.Raw)}}
	must(api.ClusterTrustBundles().Create(ctx, bundle, meta.CreateOptions{}))
	for ; ; time.Sleep(200 * time.Millisecond) {
		found := must(api.PodCertificateRequests("").List(ctx, meta.ListOptions{}))
		for index := range found.Items {
			request := &found.Items[index]
			if request.Spec.SignerName != name || len(request.Status.Conditions) > 0 {
				continue
			}
			made.answer(request)
			_, err := api.PodCertificateRequests(request.Namespace).UpdateStatus(ctx, request,
				meta.UpdateOptions{})
			if err != nil && !errors.IsNotFound(err) && !errors.IsConflict(err) {
				log.Fatal(err)
			}
			log.Printf("%s/%s: %v", request.Namespace, request.Spec.PodName, err)
		}
	}
}
