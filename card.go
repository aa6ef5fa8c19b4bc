package linnet

import "time"

// Card is what a user lets everybody on the network find in the white pages.
type Card struct {
	Name     string `json:"name,omitempty"` // display name
	City     string `json:"city,omitempty"`
	Country  string `json:"country,omitempty"`
	Language string `json:"language,omitempty"`
	About    string `json:"about,omitempty"`
}

// CardStatus is how the own card stands.
type CardStatus struct {
	Card      *Card     `json:"card"`      // null: there is none, or it was withdrawn
	Withdrawn bool      `json:"withdrawn"` // by the user, on some device
	Known     bool      `json:"known"`     // the network has it, or knows that it was withdrawn
	Published time.Time `json:"published"` // when it was last written there; zero: not since this node started
	// Words by which it is not found, because too many cards have words that begin alike.
	Crowded []string `json:"crowded,omitempty"`
	Trouble string   `json:"trouble,omitempty"` // why the network does not know yet, for people
}

// SearchPage is a part of what a search found.
type SearchPage struct {
	Words string `json:"words"`
	Page  int    `json:"page"`
	Hits  []Hit  `json:"hits"`
	More  bool   `json:"more"` // there is a next page
	// Too few supernodes answered: somebody may be missing.
	Partial bool    `json:"partial,omitempty"`
	TookMS  float64 `json:"took_ms"`
}

// Hit is one user whom a search found.
type Hit struct {
	User UserName `json:"user"`
	Card *Card    `json:"card"` // null: there is nothing but the name
}
