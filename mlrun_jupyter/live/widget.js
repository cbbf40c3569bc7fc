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
  const log = make('pre', 'log', root);
  log.tabIndex = 0;
  log.setAttribute('aria-label', 'Log');
  let since = performance.now();
  let asked = false;
  let timer = 0;

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
    if (shown.note) {
      note.textContent = shown.note;
    }
    tick();
  };
  const changed = () => {
    since = performance.now();
    paint();
  };
  const written = () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
    log.textContent = model.get('log');
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
