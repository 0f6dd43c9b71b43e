package transcript

import (
	"strings"
	"testing"
)

// A curl command says the same however it is spelt.
func TestCurl(t *testing.T) {
	const url = "https://stock-x1y2z3a4b5-ew.a.run.app/v2/parts?limit=3"
	for name, text := range map[string]string{
		"terminal":   "$ curl -sS -X PUT '" + url + "' -H 'Authorization: Bearer abc' --data-binary @part.json\nHTTP/2 403\n",
		"attached":   "curl -XPUT -H'Authorization: Bearer abc' -d@part.json " + "'" + url + "'",
		"continued":  "curl \\\n  --request PUT \\\n  --header \"authorization: Bearer abc\" \\\n  -d @part.json \\\n  --url '" + url + "'\n",
		"variables":  "TOKEN=abc\nexport HOST=stock-x1y2z3a4b5-ew.a.run.app\ncurl -X put -H \"Authorization: Bearer ${TOKEN}\" -d @part.json \"https://$HOST/v2/parts?limit=3\"\n",
		"ansi":       "curl '" + url + "' -X 'PUT' -H $'Authorization: Bearer \\x61bc' --data @part.json --compressed",
		"pipe":       "curl -fsS -X PUT -m 5 -o out.json --oauth2-bearer abc -T part.json '" + url + "' | jq .",
		"cmd":        "curl ^\"" + url + "^\" ^\r\n  -X ^\"PUT^\" ^\r\n  -H ^\"Authorization: Bearer abc^\" ^\r\n  --data ^\"@part.json^\"\r\n",
		"powershell": "PS C:\\Users\\jo> curl.exe -X PUT -H \"Authorization: Bearer abc\" `\n -d '@part.json' '" + url + "'\n",
	} {
		e, ok := Curl(strings.ReplaceAll(text, "\r\n", "\n"))
		if !ok || e.URL == nil || e.URL.String() != url || e.Method != "PUT" ||
			e.Header.Get("Authorization") != "Bearer abc" || e.Body != "part.json" || e.Masked {
			t.Errorf("%s: %v %+v", name, ok, e)
		}
	}
}

func TestCurlDefaults(t *testing.T) {
	for _, c := range []struct{ text, method, url string }{
		{"curl stock.a.run.app", "GET", "http://stock.a.run.app"},
		{"curl -I https://a.run.app/", "HEAD", "https://a.run.app/"},
		{"curl -d x=1 https://a.run.app/", "POST", "https://a.run.app/"},
		{"curl -G -d x=1 https://a.run.app/", "GET", "https://a.run.app/"},
		{"curl -F f=@a.png https://a.run.app/", "POST", "https://a.run.app/"},
		{"curl https://a.run.app/$ID", "GET", "https://a.run.app/$ID"},
		{`TOKEN=$(curl -H "Metadata-Flavor: Google" http://metadata.google.internal/x)` + "\ncurl https://a.run.app/b", "GET", "https://a.run.app/b"},
	} {
		e, ok := Curl(c.text)
		if !ok || e.Method != c.method || e.URL == nil || e.URL.String() != c.url {
			t.Errorf("%s: %v %s %v", c.text, ok, e.Method, e.URL)
		}
	}
	if e, ok := Curl(`curl "$URL/x" -H @headers.txt`); !ok || e.URL != nil || !e.Masked {
		t.Errorf("%v %+v", ok, e)
	}
	for text, want := range map[string]string{
		`curl -H "Authorization: Bearer $(gcloud auth print-access-token)" https://a.run.app`: "gcloud auth print-access-token",
		"T=$(gcloud auth print-identity-token)\ncurl -H \"Authorization: Bearer $T\" a.b":     "gcloud auth print-identity-token",
	} {
		if e, _ := Curl(text); e.Minted != want {
			t.Errorf("%s: %q", text, e.Minted)
		}
	}
	for _, text := range []string{"", "see the curl manual", "curly braces", "openapi: 3\ninfo: {}\n"} {
		if IsCurl(text) {
			t.Errorf("%q is a curl command", text)
		}
	}
}

func TestSent(t *testing.T) {
	text := "* Connected to a.run.app (1.2.3.4) port 443\n* SSL connection using TLSv1.3\n> POST /pay HTTP/2\n> Host: a.run.app\n" +
		"> authorization: Bearer abc\n> \n* done\n< HTTP/2 401 \n< server: Google Frontend\n< \n"
	e, ok := Sent(text)
	if !ok || e.Method != "POST" || e.URL.String() != "https://a.run.app/pay" || e.Header.Get("Authorization") != "Bearer abc" {
		t.Errorf("%v %+v", ok, e)
	}
	e, ok = Sent("* Connected to a.run.app (1.2.3.4) port 80\n> GET / HTTP/1.1\n> Host: a.run.app\n>\n")
	if !ok || e.URL.String() != "http://a.run.app/" {
		t.Errorf("%v %+v", ok, e)
	}
}

const har = `{"log":{"entries":[
{"request":{"method":"GET","url":"https://site.example/a.js","headers":[]},"response":{"status":404}},
{"startedDateTime":"2026-11-24T20:00:00Z","request":{"method":"GET","url":"https://a.run.app/x","headers":[SENT]},"response":{"status":403,"content":{"text":"PHRlc3Q+","encoding":"base64"}}},
{"request":{"method":"GET","url":"https://a.run.app/ok","headers":[]},"response":{"status":200}}]}}`

func TestHAR(t *testing.T) {
	none := func(string) bool { return false }
	e, err := HAR([]byte(strings.Replace(har, "SENT", "", 1)), none)
	if err != nil || e.URL.Path != "/x" || e.Answer.Status != 403 || e.Answer.Body != "<test>" || !e.Masked || e.Time.IsZero() {
		t.Errorf("%v %+v", err, e)
	}
	e, err = HAR([]byte(strings.Replace(har, "SENT", `{"name":"Authorization","value":"Bearer abc"}`, 1)), none)
	if err != nil || e.Masked || e.Header.Get("Authorization") != "Bearer abc" || !strings.Contains(e.Note, "3 requests") {
		t.Errorf("%v %+v", err, e)
	}
	e, _ = HAR([]byte(strings.Replace(har, "SENT", "", 1)), func(h string) bool { return h == "site.example" })
	if e.URL.Host != "site.example" {
		t.Errorf("%+v", e)
	}
}
