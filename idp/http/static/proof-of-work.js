// Finds the number that a sign-in asks for while many wait, and sends the form when it is found; without this script one waits and tries again.
"use strict";
const field = document.querySelector("input[data-puzzle]");
const form = field && field.form;
const PRIMES = [];
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((p) => n % p)) PRIMES.push(n);
const fraction = (x) => Math.floor((x - Math.floor(x)) * 0x100000000) | 0;
const START = Int32Array.from(PRIMES.slice(0, 8), (p) => fraction(Math.sqrt(p)));
const ROUNDS = Int32Array.from(PRIMES, (p) => fraction(Math.cbrt(p)));
const state = new Int32Array(8);
const words = new Int32Array(64);

// SHA-256 (FIPS 180-4) of a short ASCII text; only its first word is wanted. The browser's own is asynchronous, hence far slower for this.
const hashFirstWord = (text) => {
  state.set(START);
  const blocks = (text.length + 8 >> 6) + 1;
  for (let block = 0; block < blocks; block++) {
    words.fill(0, 0, 16);
    const end = Math.min(text.length - block * 64, 64);
    for (let i = 0; i < end; i++) words[i >> 2] |= text.charCodeAt(block * 64 + i) << 24 - (i & 3) * 8;
    if (end >= 0 && end < 64) words[end >> 2] |= 0x80 << 24 - (end & 3) * 8;
    if (block === blocks - 1) words[15] = text.length * 8;
    for (let i = 16; i < 64; i++) {
      const x = words[i - 15], y = words[i - 2];
      const s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
      const s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
      words[i] = words[i - 16] + s0 + words[i - 7] + s1;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
      const t1 = h + s1 + (e & f ^ ~e & g) + ROUNDS[i] + words[i] | 0;
      const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
      const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
      h = g; g = f; f = e; e = d + t1 | 0; d = c; c = b; b = a; a = t1 + t2 | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }
  return state[0];
};

if (form) {
  const bits = Number(field.dataset.bits);
  const status = form.querySelector(".busy");
  let next = 0;
  let wanted = false;
  const work = () => {
    const end = performance.now() + 16;
    while (performance.now() < end) {
      for (let i = 0; i < 500; i++, next++) {
        if (bits && hashFirstWord(`${field.dataset.puzzle}:${next}`) >>> (32 - bits)) continue;
        field.value = String(next);
        if (wanted) HTMLFormElement.prototype.submit.call(form);
        return;
      }
    }
    setTimeout(work, 0);
  };
  // It begins while the person types; who is faster waits for the rest.
  form.addEventListener("submit", (event) => {
    if (field.value) return;
    event.preventDefault();
    wanted = true;
    status.textContent = field.dataset.busy;
  });
  work();
}
