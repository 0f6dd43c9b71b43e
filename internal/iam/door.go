package iam

// A Door is everything that IAM and ingress put between a caller and the
// container. The zero Door admits nobody for certain.
type Door struct {
	// Gone says that the target was deleted: then nobody gets through.
	Gone bool
	// Invoke is the question of the service or function itself.
	Invoke Question
	// IAPOn says whether IAP stands in front. Then everybody meets IAP, and the
	// service is asked about IAP's service agent.
	IAPOn State
	// IAP is the question of IAP, its own policy first.
	IAP Question
	// Agent is IAP's service agent; the zero Identity where it is not known.
	Agent Identity
	// Internet says whether ingress admits requests from the internet.
	Internet State
	// Outside says in a clause what ingress makes of them.
	Outside string
}

// Admit decides whether an identity gets through IAP and the invoker check,
// ingress aside:
// https://docs.cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run.
func (d Door) Admit(id Identity) Decision {
	if d.Gone {
		return Decision{State: NotGranted, Reason: "the service was deleted"}
	}
	invoke := d.Invoke
	invoke.Identity = id
	switch d.IAPOn {
	case NotGranted:
		return invoke.Decide()
	case Unknown:
		out := invoke.Decide()
		if out.State != Unknown {
			out.Open = append(out.Open, Open{TargetSettings, "", "IAP is off", true})
		}
		return out
	}
	pass := d.IAP
	pass.Identity = id
	out := pass.Decide()
	invoke.Identity = d.Agent
	agent := invoke.Decide()
	if agent.State == Granted {
		out.Open = append(out.Open, agent.Open...)
		return out
	}
	if out.State == NotGranted && out.Certain() {
		return out
	}
	out.State, out.Way, out.Open = both(out.State, agent.State), agent.Way, append(out.Open, agent.Open...)
	out.Reason = "IAP's service agent: " + agent.Reason
	return out
}

// Public decides whether a request from the internet without credential
// reaches the container, through every gate.
func (d Door) Public() Decision {
	return d.FromInternet(d.Admit(Anonymous()))
}

// FromInternet turns a decision of Admit into that about a request from the
// internet.
func (d Door) FromInternet(out Decision) Decision {
	if d.Internet == Granted || out.State == NotGranted {
		return out
	}
	out.State, out.Reason = both(out.State, d.Internet), d.Outside
	if d.Internet == Unknown {
		out.Open = append(out.Open, Open{Document: TargetSettings, Reason: d.Outside})
	}
	return out
}
