// What both Node programs show: the way in, or what arrived and the way out.

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function escape(text) {
  return String(text).replace(/[&<>"]/g, (character) => ESCAPES[character])
}

export function writePage(signedIn) {
  if (!signedIn) return frame('<p><a id="sign-in" href="/sign-in">登录</a></p>')
  return frame(`<p>登录的是 <b id="who">${escape(signedIn.userinfo.name)}</b></p>
<pre id="id-token">${escape(JSON.stringify(signedIn.idToken))}</pre>
<pre id="userinfo">${escape(JSON.stringify(signedIn.userinfo))}</pre>
<p><a id="sign-out" href="/sign-out">退出</a></p>`)
}

export function writeRefusal(code) {
  return frame(`<p id="error">${escape(code)}</p><p><a id="sign-in" href="/sign-in">再试一次</a></p>`)
}

function frame(content) {
  return `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>样例部门</title></head><body>
${content}
</body></html>`
}
