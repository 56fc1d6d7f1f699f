// Package glue holds the runs of schema/glueregistry against parts that nobody
// here wrote: moto as AWS Glue, and a Python library that frames records and
// reads them back. Both come from PyPI on the first run and stay in the user's
// cache folder; requirements.txt says which.
//
// A test that cannot have them skips and says why in one sentence. With
// FIELDVEIL_REQUIRE_MOTO=1 in the environment it fails instead.
//
// What this does not show: moto checks no compatibility, has every version
// available at once, and has no call that reads metadata.
package glue
