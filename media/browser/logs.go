package browser

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// logs gives pion's warnings to the operator's log, as details: what goes wrong
// for a person is told by the Set.
type logs struct{ log *slog.Logger }

func (l logs) NewLogger(scope string) logging.LeveledLogger {
	return leveled{discard{}, l.log.With("scope", scope)}
}

type leveled struct {
	discard
	log *slog.Logger
}

func (l leveled) Warn(msg string)           { l.log.Debug(msg) }
func (l leveled) Warnf(f string, a ...any)  { l.log.Debug(fmt.Sprintf(f, a...)) }
func (l leveled) Error(msg string)          { l.log.Debug(msg) }
func (l leveled) Errorf(f string, a ...any) { l.log.Debug(fmt.Sprintf(f, a...)) }

type discard struct{}

func (discard) Trace(string)          {}
func (discard) Tracef(string, ...any) {}
func (discard) Debug(string)          {}
func (discard) Debugf(string, ...any) {}
func (discard) Info(string)           {}
func (discard) Infof(string, ...any)  {}
func (discard) Warn(string)           {}
func (discard) Warnf(string, ...any)  {}
func (discard) Error(string)          {}
func (discard) Errorf(string, ...any) {}
