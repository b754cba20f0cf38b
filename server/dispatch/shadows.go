package dispatch

import (
	"time"

	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/engine"
)

// shadow serves a shadow request. Accepted messages come from the engine, in
// the order of the commits; rejections go to all subscribers too (rule 25).
func (r request) shadow(t topic.Topic) error {
	token, err := r.shadowRequest(t)
	if err == nil {
		return nil
	}
	return r.rejectShadow(t, err, token)
}

// rejectShadow answers a refused shadow request; it returns err.
func (r request) rejectShadow(t topic.Topic, err error, token string) error {
	refused := shadow.ErrorFrom(err, token)
	if refused.Code >= 500 {
		r.Logger.Warn("a shadow request failed", "thing", t.Thing, "error", err)
	}
	r.Gateway.PublishAnd(r.name+topic.Rejected, shadow.Rejected(refused, time.Now()), r.client.Session)
	return err
}

func (r request) shadowRequest(t topic.Topic) (token string, err error) {
	switch t.Kind {
	case topic.GetShadow:
		if token, err = shadow.ParseGet(r.payload); err == nil {
			_, err = engine.Do(r.ctx, r.Engine, engine.GetShadow{Thing: t.Thing, Name: t.Shadow, ClientToken: token, Session: r.client.Session})
		}
	case topic.DeleteShadow:
		if token, err = shadow.ParseDelete(r.payload); err == nil {
			_, err = engine.Do(r.ctx, r.Engine, engine.DeleteShadow{Thing: t.Thing, Name: t.Shadow, ClientToken: token, Session: r.client.Session})
		}
	case topic.UpdateShadow:
		var u shadow.Update
		if u, err = shadow.ParseUpdate(r.payload); err == nil {
			token = u.ClientToken
			_, err = engine.Do(r.ctx, r.Engine, engine.UpdateShadow{Thing: t.Thing, Name: t.Shadow, Update: u, Session: r.client.Session, Client: r.client.ID})
		}
	}
	return token, err
}
