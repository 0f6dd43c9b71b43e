package inventory

import (
	"encoding/json"
	"errors"
	"strings"

	"diagnose/internal/estate"
)

// addAccount adds a service account. Its name has its unique ID, and roles are
// granted to its e-mail.
func (b *batch) addAccount(a asset, at stamp) error {
	var d struct {
		Email    string
		Disabled bool
	}
	if json.Unmarshal(a.data, &d) != nil {
		return errors.New("its data does not fit a service account")
	}
	if d.Email != "" {
		account := estate.Account{Name: a.name, Email: strings.ToLower(d.Email), Disabled: d.Disabled}
		b.users = append(b.users, stamped[estate.Account]{at, a.name, account})
	}
	return nil
}
