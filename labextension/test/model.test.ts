import { afterEach, beforeEach, expect, test } from 'vitest';
import { IClient, Query } from '../src/api/client';
import { Event, RunSummary } from '../src/api/types';
import { Listing, Model } from '../src/model';

const run = (uid: string, more: Partial<RunSummary> = {}): RunSummary => ({
  uid,
  project: 'p',
  name: 'train',
  state: 'running',
  function: '',
  iteration: 0,
  parent: '',
  created: '',
  started: '',
  ended: '',
  duration: null,
  progress: { cell: 0, of: 0, text: '' },
  parameters: {},
  results: {},
  labels: {},
  owner: '',
  executor: 'process',
  cause: '',
  cached_from: '',
  is_sweep: false,
  size: 0,
  ...more
});

/** A server in memory: it answers listings and hands events to whoever follows. */
class Server implements IClient {
  runs: RunSummary[] = [];
  down = false;
  projects = ['p', 'q'];
  streams: { query: Query; lastId: string; seen: (event: Event) => void; end: () => void }[] = [];

  async get<T>(path: string): Promise<T> {
    if (this.down) {
      throw new Error('down');
    }
    const answers: Record<string, unknown> = {
      status: { version: '0', current_project: '' },
      projects: { items: this.projects.map(name => ({ name })), next_page_token: '' },
      'projects/p/runs': { items: this.runs, next_page_token: '' }
    };
    return (answers[path] ?? { items: [], next_page_token: '' }) as T;
  }

  send<T>(): Promise<T> {
    throw new Error('not asked for');
  }

  url(path: string): string {
    return path;
  }

  async text(): Promise<string> {
    return '';
  }

  events(query: Query, lastId: string, seen: (event: Event) => void, stop: AbortSignal): Promise<void> {
    return new Promise(end => {
      this.streams.push({ query, lastId, seen, end });
      stop.addEventListener('abort', () => end());
    });
  }

  say(event: string, data: unknown, id: string) {
    this.streams[this.streams.length - 1].seen({ event, data, id });
  }
}

const soon = (ms = 20) => new Promise(done => setTimeout(done, ms));
let server: Server;
let model: Model;

beforeEach(() => {
  server = new Server();
  model = new Model(server, [5]);
});
afterEach(() => model.dispose());

test('a run that starts appears on top, without a listing being read again', async () => {
  server.runs = [run('one', { state: 'completed' })];
  await model.start();
  server.say('run', run('two'), '1');
  expect(model.runs.items.map(each => each.uid)).toEqual(['two', 'one']);
  expect(model.running).toBe(1);
});

test('the end of a run is told once', async () => {
  server.runs = [run('one')];
  await model.start();
  const told: string[] = [];
  model.runEnded.connect((_, each) => void told.push(each.uid));
  server.say('run', run('one', { state: 'completed' }), '1');
  server.say('run', run('one', { state: 'completed' }), '2');
  expect(told).toEqual(['one']);
});

test('a stream that ends is taken up where it stopped', async () => {
  await model.start();
  server.say('run', run('one'), '7');
  server.streams[0].end();
  await soon();
  expect(server.streams.length).toBe(2);
  expect(server.streams[1].lastId).toBe('7');
});

test('a server that is not there is asked again until it is', async () => {
  server.down = true;
  await model.start();
  expect(model.online).toBe(false);
  expect(model.startError?.what).toBeTruthy();
  server.down = false;
  await soon(40);
  expect(model.online).toBe(true);
  expect(model.project).toBe('p');
});

/** The next reading of the runs, answered when it is told to, with what the server had when it was asked. */
function late(path = 'projects/p/runs') {
  const get = server.get.bind(server);
  let answer = () => {};
  server.get = async <T>(asked: string): Promise<T> => {
    const found = await get<T>(asked);
    if (asked === path) {
      await new Promise<void>(done => (answer = done));
    }
    return found;
  };
  return async () => {
    server.get = get;
    answer();
    await soon();
  };
}

test('an answer that is older than what was told meanwhile does not take its place', async () => {
  server.runs = [run('c'), run('b', { state: 'completed' }), run('a', { state: 'completed' })];
  await model.start();
  const told: string[] = [];
  model.runEnded.connect((_, each) => void told.push(each.uid));
  const answer = late();
  void model.runs.refresh();
  await soon(0);
  server.say('run', run('d'), '1');
  server.say('run', run('c', { state: 'completed' }), '2');
  server.say('run-deleted', { uid: 'b' }, '3');
  await answer();
  expect(model.runs.items.map(each => `${each.uid} ${each.state}`)).toEqual([
    'd running',
    'c completed',
    'a completed'
  ]);
  expect(told).toEqual(['c']);
});

test('a run that ends while those that go on are counted is told, once, and counted no more', async () => {
  server.runs = [run('b'), run('a')];
  const answer = late();
  const started = model.start();
  await soon();
  const told: string[] = [];
  model.runEnded.connect((_, each) => void told.push(each.uid));
  server.say('run', run('a', { state: 'completed' }), '1');
  server.say('run', run('c'), '2');
  server.say('run', run('c', { state: 'completed' }), '3');
  server.runs = [run('b'), run('a', { state: 'completed' })];
  await answer();
  server.say('run', run('a', { state: 'completed' }), '4');
  model.dispose();
  void started;
  expect(told.sort()).toEqual(['a', 'c']);
  expect(model.running).toBe(1);
});

test('what happened before the stream was there is read when it says hello', async () => {
  server.runs = [run('a')];
  await model.start();
  server.runs = [run('a', { state: 'completed' })];
  server.say('hello', {}, '5');
  await soon();
  expect(model.runs.items[0].state).toBe('completed');
  // from there on nothing is missed: neither when a run is watched, nor in another project
  model.watch('a');
  expect(server.streams.at(-1)!.lastId).toBe('5');
  void model.open('q');
  expect(server.streams.at(-1)!.lastId).toBe('5');
});

test('who shows more than the lists is told when something may not have been', async () => {
  await model.start();
  let missed = 0;
  const deleted: string[] = [];
  model.missed.connect(() => void missed++);
  model.runDeleted.connect((_, uid) => void deleted.push(uid));
  server.say('reset', {}, '3');
  expect(missed).toBe(1);
  server.say('run-deleted', { uid: 'a' }, '4');
  expect(deleted).toEqual(['a']);
});

test('a stream that fails beside the start does not keep it from being tried again', async () => {
  server.down = true;
  const events = server.events.bind(server);
  server.events = () => Promise.reject(new Error('down'));
  model.watch('a');
  await model.start();
  await soon(30);
  server.down = false;
  server.events = events;
  await soon(60);
  expect(model.startError).toBe(null);
  expect(model.project).toBe('p');
});

test('a page that nobody sees lets go of its stream, and goes on where it was', async () => {
  await model.start();
  server.say('run', run('a'), '7');
  const before = server.streams.length;
  model.pause();
  await soon();
  model.watch('a');
  expect(server.streams.length).toBe(before);
  model.resume();
  expect(server.streams.length).toBe(before + 1);
  expect(server.streams.at(-1)!.lastId).toBe('7');
});

test('an old run that changes does not stand above the newer ones', async () => {
  server.runs = [run('c'), run('b')];
  await model.start();
  server.say('run', run('a', { state: 'lost' }), '1');
  expect(model.runs.items.map(each => each.uid)).toEqual(['c', 'b', 'a']);
});

test('a reset reads the lists again', async () => {
  await model.start();
  server.runs = [run('new')];
  server.say('reset', {}, '3');
  await soon();
  expect(model.runs.items.map(each => each.uid)).toEqual(['new']);
});

test('the journal of a run is asked for while someone watches it', async () => {
  await model.start();
  const one = model.watch('u');
  const two = model.watch('u');
  expect(server.streams[server.streams.length - 1].query.runs).toBe('u');
  one.dispose();
  one.dispose();
  expect(server.streams[server.streams.length - 1].query.runs).toBe('u');
  two.dispose();
  expect(server.streams[server.streams.length - 1].query.runs).toBeUndefined();
});

test('another project begins with empty lists', async () => {
  server.runs = [run('one')];
  await model.start();
  await model.open('q');
  expect(model.runs.items).toEqual([]);
  expect(model.runs.phase).toBe('ready');
});

test('a narrowed list takes from the stream only what matches, and what no longer does leaves it', async () => {
  await model.start();
  await model.runs.narrow({ state: 'running' }, each => each.state === 'running');
  server.say('run', run('one'), '1');
  server.say('run', run('two', { state: 'pending' }), '2');
  expect(model.runs.items.map(each => each.uid)).toEqual(['one']);
  expect(model.running).toBe(2);
  server.say('run', run('one', { state: 'completed' }), '3');
  expect(model.runs.items).toEqual([]);
  expect(model.running).toBe(1);
});

test('runs of a sweep are told, and are not in the list', async () => {
  await model.start();
  const told: string[] = [];
  model.runChanged.connect((_, each) => void told.push(each.uid));
  server.say('run', run('child', { parent: 'sweep', iteration: 1 }), '1');
  expect(told).toEqual(['child']);
  expect(model.runs.items).toEqual([]);
});

test('an older version that gets a tag does not take the place of the latest', async () => {
  await model.start();
  const version = (hash: string, ...tags: string[]) => ({ name: 'train', hash, tags });
  server.say('function', version('new', 'latest'), '1');
  server.say('function', version('old', 'prod'), '2');
  expect(model.functions.items.map(each => each.hash)).toEqual(['new']);
});

test('the first project of all is shown when it comes', async () => {
  server.projects = [];
  await model.start();
  expect(model.project).toBe('');
  server.projects = ['p'];
  server.runs = [run('one')];
  server.say('project', { name: 'p' }, '1');
  await soon();
  expect(model.project).toBe('p');
  expect(model.runs.items.map(each => each.uid)).toEqual(['one']);
});

test('a new project is in the list, and does not take the place of the one that is shown', async () => {
  await model.start();
  server.projects = ['p', 'q', 'r'];
  server.say('project', { name: 'r' }, '1');
  await soon();
  expect(model.projects.map(each => each.name)).toEqual(['p', 'q', 'r']);
  expect(model.project).toBe('p');
});

test('of a tag that moves on only its last place is shown', async () => {
  await model.start();
  const artifact = (tree: string, tags: string[], more = {}) => ({
    key: 'model',
    db_key: 'train-model',
    project: 'p',
    kind: 'model',
    uri: `store://models/p/train-model@${tree}`,
    tags,
    created: '',
    ...more
  });
  server.say('artifact', artifact('one', ['latest', 'good']), '1');
  server.say('artifact', artifact('other', ['latest'], { db_key: 'other', uri: 'store://models/p/other@one' }), '2');
  server.say('artifact', artifact('two', ['latest'], { uri: 'store://models/p/train-model#2@two' }), '3');
  server.say('artifact', artifact('three', ['latest']), '4');
  const expected = [['latest'], ['latest'], ['latest'], ['good']];
  expect(model.artifacts.items.map(each => each.tags)).toEqual(expected);
  expect(model.models.items.map(each => each.tags)).toEqual(expected);
});

test('feature sets stand before vectors, the newest first', async () => {
  await model.start();
  const told = [
    ['feature-vector', 'v', '5'],
    ['feature-set', 'b', '2'],
    ['feature-set', 'a', '1'],
    ['feature-vector', 'w', '6'],
    ['feature-set', 'c', '3']
  ];
  told.forEach(([kind, name, created], at) => server.say('feature', { kind, name, created, project: 'p' }, String(at)));
  expect(model.features.items.map(each => each.name).join('')).toBe('cbawv');
});

test('an old item that is told of stands where its time says, or waits for its page', async () => {
  type Item = { key: string; at: string };
  let next = 'more';
  const page = () => ({
    items: [
      { key: 'd', at: '4' },
      { key: 'b', at: '2' }
    ],
    next_page_token: next
  });
  const list = new Listing<Item>(
    async () => page(),
    each => each.key,
    () => undefined,
    each => each.at
  );
  const keys = () => list.items.map(each => each.key).join('');
  list.put({ key: 'x', at: '1' });
  expect(keys()).toBe('x');
  await list.refresh();
  list.put({ key: 'a', at: '1' });
  expect(keys()).toBe('db');
  list.put({ key: 'c', at: '3' });
  list.put({ key: 'e', at: '5' });
  list.put({ key: 'b', at: '2' });
  expect(keys()).toBe('edcb');
  next = '';
  await list.refresh();
  list.put({ key: 'a', at: '1' });
  expect(keys()).toBe('dba');
});
