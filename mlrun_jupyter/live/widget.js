// A run as it goes on. Everything that the run says is put in as text, never as HTML.

const HEARD_WITHIN = 400;
const PATIENCE = 1500;
const BUSY = 'The kernel is busy and cannot hear this. Interrupt the cell (■) to end the run.';

function make(tag, name, parent) {
  const node = document.createElement(tag);
  if (name) {
    node.className = `mlrun-live-${name}`;
  }
  parent?.append(node);
  return node;
}

function elapsed(seconds) {
  if (seconds < 60) {
    return `${Math.floor(seconds)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.floor(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
const CONTROL = /\x1b(?:\[[0-9;?]*[A-Za-ln-z@`]|\][^\x07\x1b]*(?:\x07|\x1b\\))/g;

// as a terminal leaves it: of a line drawn over itself only what was last
function settled(text) {
  const clean = text.replace(CONTROL, '');
  if (!clean.includes('\r')) {
    return clean;
  }
  return clean
    .replace(/\r+\n/g, '\n')
    .split('\n')
    .map(line => line.slice(line.lastIndexOf('\r', line.length - 2) + 1))
    .join('\n');
}

// the colour after `38` or `48`, and how many numbers it took
function extended(codes, at) {
  if (codes[at] === 2) {
    return [`rgb(${codes.slice(at + 1, at + 4).map(each => Math.min(255, each || 0))})`, 4];
  }
  const n = codes[at + 1] || 0;
  if (n < 16) {
    return [n, 2];
  }
  if (n >= 232) {
    return [`rgb(${Array(3).fill(8 + 10 * (n - 232))})`, 2];
  }
  const part = each => (each ? 55 + 40 * each : 0);
  const of = n - 16;
  return [`rgb(${part(Math.floor(of / 36))},${part(Math.floor(of / 6) % 6)},${part(of % 6)})`, 2];
}

// changes the style by the numbers of one escape sequence
function obey(style, codes) {
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at];
    const base = code % 10;
    if (code === 0) {
      Object.assign(style, { fg: null, bg: null, bold: false, italic: false, underline: false });
    } else if (code === 1 || code === 22) {
      style.bold = code === 1;
    } else if (code === 3 || code === 23) {
      style.italic = code === 3;
    } else if (code === 4 || code === 24) {
      style.underline = code === 4;
    } else if (code === 38 || code === 48) {
      const [colour, took] = extended(codes, at + 1);
      style[code === 38 ? 'fg' : 'bg'] = colour;
      at += took;
    } else if (code === 39 || code === 49) {
      style[code === 39 ? 'fg' : 'bg'] = null;
    } else if (base < 8 && ((code >= 30 && code < 48) || (code >= 90 && code < 108))) {
      const bright = code >= 90 ? 8 : 0;
      style[Math.floor((code - (bright ? 60 : 0)) / 10) === 3 ? 'fg' : 'bg'] = base + bright;
    }
  }
}

function dress(node, style) {
  for (const [kind, property] of [
    ['fg', 'color'],
    ['bg', 'backgroundColor']
  ]) {
    const colour = style[kind];
    if (typeof colour === 'number') {
      node.classList.add(`ansi-${NAMES[colour % 8]}${colour > 7 ? '-intense' : ''}-${kind}`);
    } else if (colour) {
      node.style[property] = colour;
    }
  }
  for (const each of ['bold', 'italic', 'underline']) {
    if (style[each]) {
      node.classList.add(`ansi-${each}`);
    }
  }
}

// text with the colours of a terminal, under the names that JupyterLab has for them
function coloured(text) {
  const found = document.createDocumentFragment();
  const style = { fg: null, bg: null, bold: false, italic: false, underline: false };
  const pieces = settled(text).split(/\x1b\[([0-9;]*)m/);
  pieces.forEach((piece, at) => {
    if (at % 2) {
      obey(style, piece.split(';').map(Number));
    } else if (piece) {
      const plain = style.fg === null && style.bg === null && !style.bold && !style.italic && !style.underline;
      const node = plain ? document.createTextNode(piece) : document.createElement('span');
      if (!plain) {
        node.textContent = piece;
        dress(node, style);
      }
      found.append(node);
    }
  });
  return found;
}

// JupyterLab and Notebook say here where their server is; other front ends do not
function server() {
  try {
    const config = JSON.parse(document.getElementById('jupyter-config-data').textContent);
    return config.baseUrl ? config : null;
  } catch {
    return null;
  }
}

async function askServer(uid) {
  const config = server();
  if (!config) {
    return false;
  }
  const headers = { 'Content-Type': 'application/json' };
  const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
  if (xsrf) {
    headers['X-XSRFToken'] = decodeURIComponent(xsrf[1]);
  }
  if (config.token) {
    headers.Authorization = `token ${config.token}`;
  }
  try {
    const answer = await fetch(`${config.baseUrl}mlrun/v1/runs/${encodeURIComponent(uid)}/abort`, {
      method: 'POST',
      body: '{}',
      headers,
      credentials: 'same-origin'
    });
    return answer.ok;
  } catch {
    return false;
  }
}

function render({ model, el }) {
  const root = make('div', '', el);
  root.className = 'mlrun-live';
  root.setAttribute('role', 'group');
  const row = make('div', 'row', root);
  const state = make('span', 'state', row);
  state.setAttribute('role', 'status');
  const name = make('span', 'name', row);
  const bar = make('progress', '', row);
  const text = make('span', 'dim', row);
  const time = make('span', 'dim', row);
  make('span', 'space', row);
  const button = make('button', '', row);
  button.type = 'button';
  const note = make('div', 'note', root);
  note.setAttribute('role', 'status');
  // JupyterLab's colours of terminals hold within this
  const around = make('div', '', root);
  around.className = 'jp-RenderedText mlrun-live-text';
  const log = make('pre', 'log', around);
  log.tabIndex = 0;
  log.setAttribute('aria-label', 'Log');
  let since = performance.now();
  let asked = false;
  let timer = 0;
  let said = '';

  const tick = () => {
    const shown = model.get('shown');
    const more = shown.over ? 0 : (performance.now() - since) / 1000;
    time.textContent = elapsed(shown.elapsed + more);
  };
  const paint = () => {
    const shown = model.get('shown');
    const aborting = !shown.over && (asked || model.get('aborting'));
    root.setAttribute('aria-label', `Run ${shown.name}`);
    state.dataset.state = shown.state;
    state.textContent = aborting ? '■ aborting' : `${shown.mark} ${shown.state}`;
    name.textContent = shown.name;
    name.title = `${shown.name} ${shown.uid}`;
    bar.hidden = shown.over;
    bar.setAttribute('aria-label', 'Progress');
    if (shown.of && shown.started) {
      bar.max = shown.of;
      bar.value = shown.done;
    } else {
      bar.removeAttribute('value');
    }
    text.textContent = shown.over ? '' : shown.text;
    button.hidden = shown.over;
    button.disabled = aborting;
    button.textContent = aborting ? 'Aborting…' : 'Abort';
    button.setAttribute('aria-label', `Abort run ${shown.name}`);
    // what is said here when nobody hears the button stays until the kernel has something else to say
    if ((shown.note || '') !== said) {
      said = shown.note || '';
      note.textContent = said;
    }
    tick();
  };
  const changed = () => {
    since = performance.now();
    paint();
  };
  const written = () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
    log.replaceChildren(coloured(model.get('log')));
    if (atEnd) {
      log.scrollTop = log.scrollHeight;
    }
  };
  button.onclick = () => {
    asked = true;
    note.textContent = '';
    paint();
    model.send({ kind: 'abort' });
    const heard = () => model.get('aborting') || model.get('shown').over;
    // a kernel that executes a cell does not hear its widgets; the server does
    timer = window.setTimeout(async () => {
      if (heard() || (await askServer(model.get('shown').uid))) {
        return;
      }
      timer = window.setTimeout(() => {
        if (!heard()) {
          asked = false;
          note.textContent = BUSY;
          paint();
        }
      }, PATIENCE);
    }, HEARD_WITHIN);
  };
  model.on('change:shown', changed);
  model.on('change:aborting', paint);
  model.on('change:log', written);
  const clock = window.setInterval(tick, 1000);
  paint();
  written();
  return () => {
    window.clearInterval(clock);
    window.clearTimeout(timer);
    model.off('change:shown', changed);
    model.off('change:aborting', paint);
    model.off('change:log', written);
  };
}

export default { render };
