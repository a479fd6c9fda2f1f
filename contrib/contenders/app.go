// Go's net/http with the bench's routes: /plaintext, /cpu/MICROS, /sleep/MICROS.
// Usage: app ADDRESS:PORT
package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

var sink atomic.Uint64

func spin(rounds uint64) {
	total := uint64(1)
	for number := uint64(0); number < rounds; number++ {
		total = total*6364136223846793005 + number
	}
	sink.Store(total)
}

// Rounds per µs of CPU, from the fastest of several tries: the work is calibrated, not timed.
func calibrate() float64 {
	best := time.Hour
	for tries := 0; tries < 20; tries++ {
		begun := time.Now()
		spin(100000)
		if took := time.Since(begun); took < best {
			best = took
		}
	}
	return 100000 / (float64(best.Nanoseconds()) / 1e3)
}

func main() {
	rounds := calibrate()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		parts := strings.Split(r.URL.Path, "/")
		switch {
		case r.URL.Path == "/" || r.URL.Path == "/plaintext":
			fmt.Fprint(w, "Hello, World!")
			return
		case len(parts) == 3 && (parts[1] == "cpu" || parts[1] == "sleep"):
			micros, err := strconv.ParseUint(parts[2], 10, 32)
			if err != nil || micros > 60000000 {
				break
			}
			if parts[1] == "cpu" {
				spin(uint64(float64(micros) * rounds))
			} else {
				time.Sleep(time.Duration(micros) * time.Microsecond)
			}
			fmt.Fprint(w, "done")
			return
		}
		http.NotFound(w, r)
	})
	if err := http.ListenAndServe(os.Args[1], nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
