package capture

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
)

// withoutSecrets is a document without the secrets of OAuth clients and their
// hashes, and with every other text scrubbed of credentials: the address of a
// sign-in page may have an API key in it. A document that cannot be cleaned is
// unknown. The fields are those of
// https://docs.cloud.google.com/iap/docs/reference/rest/v1/IapSettings.
func withoutSecrets[M proto.Message](f evidence.Fact[M]) evidence.Fact[M] {
	in, ok := f.Get()
	if !ok {
		return f
	}
	out := proto.Clone(in).(M)
	err := protorange.Range(out.ProtoReflect(), func(p protopath.Values) error {
		at, parent := p.Index(-1), p.Index(-2)
		if m, ok := at.Value.Interface().(protoreflect.Message); ok {
			clearSecrets(m)
			return nil
		}
		text, ok := at.Value.Interface().(string)
		if !ok {
			return nil
		}
		switch clean := protoreflect.ValueOfString(credential.Scrub(text)); at.Step.Kind() {
		case protopath.FieldAccessStep:
			parent.Value.Message().Set(at.Step.FieldDescriptor(), clean)
		case protopath.ListIndexStep:
			parent.Value.List().Set(at.Step.ListIndex(), clean)
		case protopath.MapIndexStep:
			parent.Value.Map().Set(at.Step.MapIndex(), clean)
		}
		return nil
	})
	if err != nil {
		return evidence.Unknown[M](err, f.Source)
	}
	return evidence.Known(out, f.Source)
}

func clearSecrets(m protoreflect.Message) {
	for fields, i := m.Descriptor().Fields(), 0; i < fields.Len(); i++ {
		if strings.HasPrefix(string(fields.Get(i).Name()), "client_secret") {
			m.Clear(fields.Get(i))
		}
	}
}
