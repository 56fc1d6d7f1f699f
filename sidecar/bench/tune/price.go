package tune

// A Price is what a KMS costs, and how much it takes.
type Price struct {
	Provider string
	Per10k   float64 // USD for 10,000 calls
	PerKEK   float64 // USD for a key a month
	Quota    float64 // calls a second; 0 is unknown
	Source   string
}

// Prices are the list prices and default quotas of KMS, by the scheme of their
// KEKs' URIs. They differ by Region, kind of key and contract, and change: check
// your price list. Free tiers are left out.
func Prices() map[string]Price {
	const check = " Check your price list and your quotas."
	return map[string]Price{
		"aws-kms": {
			Provider: "AWS KMS", Per10k: 0.03, PerKEK: 1, Quota: 10_000,
			Source: "aws.amazon.com/kms/pricing and docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html, read in 2026: " +
				"symmetric keys; the quota is that of most Regions, others have 20,000 or 100,000." + check,
		},
		"gcp-kms": {
			Provider: "Google Cloud KMS", Per10k: 0.03, PerKEK: 0.06, Quota: 1_000,
			Source: "prices as widely quoted for software keys with one active version; quota of 60,000 calls a minute " +
				"for a project (cloud.google.com/kms/quotas, 2026)." + check,
		},
		"azure-kms": {
			Provider: "Azure Key Vault", Per10k: 0.03, PerKEK: 0, Quota: 400,
			Source: "prices as widely quoted for RSA 2048 in software; quota of 4,000 calls in ten seconds for a vault " +
				"(learn.microsoft.com/azure/key-vault/general/service-limits, 2026)." + check,
		},
	}
}

// NoPrice is for a KMS that bills nothing and has no quota: one of your own.
func NoPrice(provider string) Price {
	return Price{Provider: provider, Source: "No price list: give prices and quota yourself where there are any."}
}
