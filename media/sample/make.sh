#!/bin/sh
# Makes the samples of this directory anew. Needs the Debian packages
# espeak-ng, sox and opus-tools; see README.md.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A fixed serial number and no date: the same tools give the same bytes.
encode() { opusenc --quiet --speech --bitrate 24 --framesize 20 --serial "$2" --discard-comments --title "$3" \
	--comment "LICENSE=CC0-1.0" --padding 0 "$tmp/$1.wav" "$1.ogg"; }

# say NAME SERIAL TITLE TEXT: speech at 48 kHz, mono, with a little silence around it.
say() {
	espeak-ng -v en-gb -s 155 -p 45 -g 2 -w "$tmp/raw.wav" "$4"
	sox -q "$tmp/raw.wav" -r 48000 -c 1 -b 16 -D "$tmp/$1.wav" norm -3 pad 0.2 0.3
	encode "$1" "$2" "$3"
}

say speech 1 "Two birds and a telephone" \
	"Two linnets lived at the two ends of a long hedge. One morning they found a telephone there. \
Good morning, said the first. How lovely to hear you, said the second. \
The wind took nothing away, and nobody else could listen. So they sang until the sun went down."
say greeting 2 "echo123, greeting" \
	"Hello. Speak after the tone, and hear yourself ten seconds later."
say closing 3 "echo123, closing" \
	"If you heard yourself, you are ready to make calls. Goodbye."

sox -q -n -r 48000 -c 1 -b 16 -D "$tmp/tone.wav" synth 0.4 sine 880 fade t 0.02 0.4 0.05 gain -9
encode tone 4 "echo123, tone"
