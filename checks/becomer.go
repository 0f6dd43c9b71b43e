package checks

// A Step is one binding on the way from a principal to a service account, or
// to the policy by which it lets itself in.
type Step struct {
	Principal  string // member: who takes the step
	Permission string
	Role       string
	On         string // full name of the resource that it is bound on
	Account    string // e-mail of the account that the principal becomes by it, "" where by the step after it
}

// A Becomer is a member that may not invoke, and can become a service account
// that may, or let itself in.
type Becomer struct {
	Member string
	Unsure bool   // it may be so, and Text says what is not known
	Text   string // whom it can become and through what, a sentence
	Path   []Step // the shortest way
}

// Becomers says who can become somebody who may invoke. The zero Becomers
// knows nobody, and of nothing that was not read.
type Becomers struct {
	List []Becomer // those that are sure first, then by the length of their ways
	// Unread are the documents that could name more, each with the command that
	// makes it.
	Unread []Assumption
}
