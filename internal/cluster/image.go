package cluster

import "sigs.k8s.io/kind/pkg/apis/config/defaults"

// OfficialImage is the node image, by digest, that this version of kind is released with.
const OfficialImage = defaults.Image
