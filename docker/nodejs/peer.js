// A peer by the lab's contract (peers/CONTRACT.md), with Node.js's tls module.
'use strict'
const fs = require('fs'), net = require('net'), tls = require('tls')
const env = process.env

function unsupported (why) {
  process.stderr.write(why + '\n')
  process.exit(127)
}

// OpenSSL's list: ":" between equals, "/" between tiers, "*" before a group whose share is sent.
function groups () {
  const sent = (env.PEER_SHARES || '').split(',').filter(Boolean)
  if (env.PEER_SHARES === 'none') unsupported('node always sends a key share')
  const mark = g => (sent.includes(g) ? '*' : '') + g
  return env.PEER_GROUPS.split('>').map(t => t.split(',').map(mark).join(':')).join('/')
}

function options () {
  const o = {}
  if (env.PEER_GROUPS) o.ecdhCurve = groups()
  try {
    tls.createSecureContext(o)
  } catch (e) { // before any packet: OpenSSL refuses the list
    unsupported(`ecdhCurve ${o.ecdhCurve}: ${e.message}`)
  }
  return o
}

const version = s => (s.getProtocol() || '').replace('TLSv', 'TLS ')
const say = o => process.stdout.write(JSON.stringify(o) + '\n')

function client () {
  const [, host, port] = env.PEER_ADDR.match(/^\[?([^\]]*)\]?:(\d+)$/)
  const said = { done: false, data: false }
  let answer = ''
  const end = error => {
    if (error) said.error = String(error.message || error)
    said.data = answer.startsWith('HTTP/1.')
    say(said)
    process.exit(said.data ? 0 : 1)
  }
  setTimeout(() => { said.timed_out = true; end('timeout') }, 1000 * (env.PEER_TIMEOUT || 10))
  const s = tls.connect({ ...options(), host, port, servername: env.PEER_SNI, ca: fs.readFileSync(env.PEER_CA) })
  s.on('keylog', line => env.SSLKEYLOGFILE && fs.appendFileSync(env.SSLKEYLOGFILE, line))
  s.on('secureConnect', () => {
    said.done = true
    said.version = version(s)
    said.group = s.getEphemeralKeyInfo().name // nothing for what is no curve
    said.reached = s.getPeerCertificate().subject.CN
    s.write(`GET /${env.PEER_TOKEN} HTTP/1.0\r\nHost: ${env.PEER_SNI}\r\n\r\n`)
  })
  s.on('data', d => { answer += d })
  s.on('error', end)
  s.on('end', () => end(answer ? '' : 'the server closed without an answer'))
}

function server () {
  const o = { ...options(), cert: fs.readFileSync(env.PEER_CERT), key: fs.readFileSync(env.PEER_KEY) }
  const from = s => (s.remoteFamily === 'IPv6' ? `[${s.remoteAddress}]` : s.remoteAddress) + ':' + s.remotePort
  const known = new Map() // an error may come when the socket has forgotten whose it was
  const srv = tls.createServer(o, s => {
    const said = { remote: from(s), done: true, data: false, version: version(s) }
    s.on('error', e => { said.error = e.message })
    s.on('close', () => say(said))
    s.once('data', d => {
      said.data = d.toString().startsWith('GET /')
      s.end('HTTP/1.0 200 OK\r\n\r\nhybridlab\n')
    })
  })
  srv.on('connection', c => known.set(c, from(c)))
  srv.on('tlsClientError', (e, s) => {
    const remote = known.get(s._parent) || (s.remoteAddress && from(s))
    if (remote) say({ remote, done: false, error: e.message })
  })
  const [, host, port] = env.PEER_ADDR.match(/^\[?([^\]]*)\]?:(\d+)$/)
  srv.listen(port, host)
  process.on('SIGTERM', () => process.exit(0))
}

switch (env.PEER_ROLE) {
  case 'version': console.log(`Node.js ${process.version}, OpenSSL ${process.versions.openssl}`); break
  case 'client': client(); break
  case 'server': server(); break
  default: process.stderr.write(`PEER_ROLE=${env.PEER_ROLE}: want client, server or version\n`); process.exit(2)
}
