package gcp

import (
	"maps"
	"slices"
)

// regions are those of Cloud Run by the letters that stand for them in a hash
// URL. The regions are those of https://docs.cloud.google.com/run/docs/locations.
// No document of Google's has the letters, and these are unconfirmed: they tell
// where to look first, and prove nothing.
var regions = map[string]string{
	"an": "asia-northeast1", "as": "asia-southeast1", "de": "asia-east1", "df": "asia-east2",
	"dt": "asia-northeast2", "du": "asia-northeast3", "el": "asia-south1", "em": "asia-south2",
	"et": "asia-southeast2", "ew": "europe-west1", "ey": "europe-west3", "ez": "europe-west4",
	"km": "australia-southeast2", "lm": "europe-central2", "lz": "europe-north1", "nn": "northamerica-northeast1",
	"nw": "europe-west2", "oa": "europe-west6", "oc": "europe-west8", "od": "europe-west9",
	"pd": "northamerica-northeast2", "rj": "southamerica-east1", "tl": "southamerica-west1", "ts": "australia-southeast1",
	"uc": "us-central1", "ue": "us-east1", "uk": "us-east4", "ul": "us-east5", "uw": "us-west1",
	"vp": "us-south1", "wl": "us-west2", "wm": "us-west3", "wn": "us-west4", "zf": "me-west1",
}

// unlettered are the regions whose letters are not known here.
var unlettered = []string{
	"africa-south1", "asia-southeast3", "europe-north2", "europe-southwest1", "europe-west10", "europe-west12",
	"me-central1", "me-central2", "northamerica-south1",
}

// RegionOf is the region that the letters of a hash URL most likely stand for,
// "" where that is not known. It is a hint where to look, and no evidence.
func RegionOf(letters string) string { return regions[letters] }

// Regions lists the known regions of Cloud Run by name.
func Regions() []string {
	return slices.Sorted(slices.Values(slices.AppendSeq(slices.Clone(unlettered), maps.Values(regions))))
}
