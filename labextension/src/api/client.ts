/** One typed way to the server: requests, and the stream of events. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { parse, stringify } from './json';
import type { Event } from './types';

/** What the server said went wrong: the thing, the cause, the next step. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly what: string,
    readonly why: string,
    readonly nextStep: string
  ) {
    super(what);
  }

  /** Whether nothing answered at all, or something that is not our server. */
  get offline(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }
}

export interface IClient {
  get<T>(path: string, query?: Query): Promise<T>;
  send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T>;
  /** The address of a route, for images, frames and downloads. */
  url(path: string, query?: Query): string;
  /** Content as text, of a long one the beginning. */
  text(path: string, query: Query, bytes: number): Promise<string>;
  events(query: Query, lastId: string, seen: (event: Event) => void, stop: AbortSignal): Promise<void>;
}

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

export function queryOf(query: Query): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) {
      value.forEach(each => parts.append(name, each));
    } else if (value !== undefined && value !== '') {
      parts.append(name, String(value));
    }
  }
  const text = parts.toString();
  return text ? `?${text}` : '';
}

export class Client implements IClient {
  /** @param _silence milliseconds without a byte of events after which their connection is taken for dead; the server says something every 15 s. */
  constructor(
    private readonly _settings = ServerConnection.makeSettings(),
    private readonly _silence = 45_000
  ) {}

  get<T>(path: string, query: Query = {}): Promise<T> {
    return this._request<T>(path + queryOf(query), { method: 'GET' });
  }

  send<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    return this._request<T>(path, { method, body: body === undefined ? undefined : stringify(body) });
  }

  url(path: string, query: Query = {}): string {
    return URLExt.join(this._settings.baseUrl, 'mlrun/v1') + '/' + path + queryOf(query);
  }

  async text(path: string, query: Query, bytes: number): Promise<string> {
    try {
      const headers = { Range: `bytes=0-${bytes - 1}` };
      return await (await this._fetch(path + queryOf(query), { method: 'GET', headers })).text();
    } catch (error) {
      // nothing is what an empty file has at its first byte
      if (error instanceof ApiError && error.status === 416) {
        return '';
      }
      throw error;
    }
  }

  /** Reads events until the connection ends (then it returns), fails (then it throws) or `stop` says so. */
  async events(query: Query, lastId: string, seen: (event: Event) => void, stop: AbortSignal): Promise<void> {
    // fetch, not EventSource: that can carry neither the token nor a first Last-Event-ID
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (lastId) {
      headers['Last-Event-ID'] = lastId;
    }
    const response = await this._fetch('events' + queryOf(query), {
      method: 'GET',
      headers,
      signal: stop,
      cache: 'no-store'
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const take = eventParser(seen);
    for (;;) {
      const { done, value } = await within(this._silence, reader.read(), () => void reader.cancel());
      if (done) {
        return;
      }
      take(value);
    }
  }

  private async _request<T>(path: string, init: RequestInit): Promise<T> {
    const response = await this._fetch(path, init);
    const text = await response.text();
    if (!text) {
      return undefined as T;
    }
    try {
      return parse(text) as T;
    } catch {
      throw new ApiError(response.status, 'The answer cannot be read.', 'It is not JSON.', 'Look at the server log.');
    }
  }

  private async _fetch(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(this.url(path), init, this._settings);
    } catch (error) {
      if (init.signal?.aborted) {
        throw error;
      }
      throw new ApiError(
        0,
        'The server cannot be reached.',
        String((error as Error).message),
        'Runs go on without it. Start it again, or look at your connection.'
      );
    }
    if (!response.ok) {
      throw await errorOf(response);
    }
    return response;
  }
}

/** What is read, if it comes in time: a connection that died without a word gives neither bytes nor an end. */
function within<T>(milliseconds: number, read: Promise<T>, late: () => void): Promise<T> {
  return new Promise((done, failed) => {
    const timer = setTimeout(() => {
      late();
      failed(new ApiError(0, 'The server says nothing any more.', 'The connection was lost.', 'It is opened again.'));
    }, milliseconds);
    read.then(done, failed).finally(() => clearTimeout(timer));
  });
}

async function errorOf(response: Response): Promise<ApiError> {
  const body = await response.json().catch(() => null);
  const error = body?.error;
  if (error?.what) {
    return new ApiError(response.status, error.what, error.why ?? '', error.next_step ?? '');
  }
  if (response.status === 404) {
    return new ApiError(
      404,
      'The MLRun server extension is not there.',
      'The Jupyter server does not know its address.',
      'Run "jupyter server extension list" and restart the server.'
    );
  }
  return new ApiError(
    response.status,
    `The server answered ${response.status}.`,
    response.statusText,
    'Look at the server log.'
  );
}

/** A parser of `text/event-stream`: takes pieces as they come, calls `seen` for each whole event. */
export function eventParser(seen: (event: Event) => void): (piece: string) => void {
  let rest = '';
  let id = '';
  let event = '';
  let data: string[] = [];
  return piece => {
    const lines = (rest + piece).split(/\r\n|\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line) {
        if (data.length) {
          seen({ event: event || 'message', id, data: parse(data.join('\n')) });
        }
        event = '';
        data = [];
        continue;
      }
      const at = line.indexOf(':');
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '');
      if (field === 'data') {
        data.push(value);
      } else if (field === 'event') {
        event = value;
      } else if (field === 'id') {
        id = value;
      }
    }
  };
}
