/** What the view of a run reads, kept up to date by the stream of events. */
import { useEffect, useRef, useState } from 'react';
import { ApiError } from '../api/client';
import { Entry, Metrics, Page, Point, RunDetail, RunSummary, TERMINAL } from '../api/types';
import { Model, asApiError } from '../model';

/** Milliseconds between two readings of what grows, at least. */
const PAUSE = 700;

/** A run's record. */
export function useRun(model: Model, uid: string) {
  const [run, setRun] = useState<RunDetail | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let left = false;
    model.client.get<RunDetail>(`runs/${encodeURIComponent(uid)}`).then(
      found => {
        if (!left) {
          setRun(found);
          setError(null);
        }
      },
      failure => !left && setError(asApiError(failure))
    );
    return () => {
      left = true;
    };
  }, [uid, turn]);
  useEffect(() => {
    const changed = (_: Model, next: RunSummary) => {
      if (next.uid !== uid) {
        return;
      }
      setRun(before => before && { ...before, ...next });
      if (TERMINAL.has(next.state)) {
        setTurn(before => before + 1);
      }
    };
    model.runChanged.connect(changed);
    return () => void model.runChanged.disconnect(changed);
  }, [uid]);
  // the stream was away, or an event was missed: what is shown is read again
  const online = useRef(model.online);
  useEffect(() => {
    const changed = () => {
      if (model.online && online.current === false) {
        setTurn(before => before + 1);
      }
      online.current = model.online;
    };
    model.changed.connect(changed);
    return () => void model.changed.disconnect(changed);
  }, [uid]);
  const going = run !== null && !TERMINAL.has(run.state);
  useEffect(() => {
    const watch = going ? model.watch(uid) : null;
    return () => watch?.dispose();
  }, [uid, going]);
  return { run, error, again: () => setTurn(before => before + 1) };
}

/** Calls `read` at once, then as often as `wanted` is told, but never twice at a time and with a pause between. */
export class Reader {
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _busy = false;
  private _again = false;
  private _gone = false;

  constructor(
    private readonly _read: () => Promise<void>,
    private readonly _pause = PAUSE
  ) {}

  wanted(): void {
    if (this._gone) {
      return;
    }
    if (this._busy || this._timer) {
      this._again = true;
      return;
    }
    this._busy = true;
    const began = Date.now();
    void this._read().finally(() => {
      this._busy = false;
      // what takes long to read is read less often
      this._timer = setTimeout(
        () => {
          this._timer = undefined;
          if (this._again) {
            this._again = false;
            this.wanted();
          }
        },
        Math.max(this._pause, 2 * (Date.now() - began))
      );
    });
  }

  dispose(): void {
    this._gone = true;
    clearTimeout(this._timer);
  }
}

/** The points of a run's metrics; those that are new are asked for when the run has said something. */
export function useMetrics(model: Model, run: RunDetail) {
  const [points, setPoints] = useState<readonly Point[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const going = !TERMINAL.has(run.state);
  useEffect(() => {
    const known = new Map<string, Point>();
    let since = '';
    const reader = new Reader(async () => {
      try {
        const found = await model.client.get<Metrics>(`runs/${run.uid}/metrics`, { since: since || undefined });
        for (const point of found.items) {
          known.set(`${point.key}\n${point.step}\n${point.time}`, point);
          since = point.time > since ? point.time : since;
        }
        setPoints([...known.values()]);
        setError(null);
      } catch (failure) {
        setError(asApiError(failure));
      }
    });
    const changed = (_: Model, next: RunSummary) => next.uid === run.uid && reader.wanted();
    model.runChanged.connect(changed);
    reader.wanted();
    return () => {
      reader.dispose();
      model.runChanged.disconnect(changed);
    };
    // when it ends all is read anew: a point may have been written with an earlier time
  }, [run.uid, going]);
  return { points, error };
}

/** The iterations of a sweep. */
export function useChildren(model: Model, run: RunDetail) {
  const [children, setChildren] = useState<ReadonlyMap<string, RunSummary>>(new Map());
  const [error, setError] = useState<ApiError | null>(null);
  const [ready, setReady] = useState(false);
  const going = !TERMINAL.has(run.state);
  useEffect(() => {
    let gone = false;
    const path = `projects/${encodeURIComponent(run.project)}/runs`;
    const read = async () => {
      const found = new Map<string, RunSummary>();
      try {
        for (let token = ''; ;) {
          const page = await model.client.get<Page<RunSummary>>(path, {
            parent: run.uid,
            limit: 1000,
            page_token: token
          });
          page.items.forEach(each => found.set(each.uid, each));
          token = page.next_page_token;
          if (!token || gone) {
            break;
          }
        }
        if (!gone) {
          setChildren(before => new Map([...before, ...found]));
          setError(null);
        }
      } catch (failure) {
        if (!gone) {
          setError(asApiError(failure));
        }
      }
      setReady(true);
    };
    const changed = (_: Model, next: RunSummary) => {
      if (next.parent === run.uid) {
        setChildren(before => new Map(before).set(next.uid, next));
      }
    };
    model.runChanged.connect(changed);
    void read();
    return () => {
      gone = true;
      model.runChanged.disconnect(changed);
    };
  }, [run.uid, going]);
  return { children, error, ready };
}

/** Calls `heard` with what comes to the run's journal. */
export function useJournal(model: Model, uid: string, heard: (entries: readonly Entry[]) => void) {
  const latest = useRef(heard);
  latest.current = heard;
  useEffect(() => {
    const take = (_: Model, event: { uid: string; entries: Entry[] }) => {
      if (event.uid === uid) {
        latest.current(event.entries);
      }
    };
    model.journal.connect(take);
    return () => void model.journal.disconnect(take);
  }, [uid]);
}

/** The time now, told once a second while something goes on. */
export function useClock(going: boolean): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!going) {
      return;
    }
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [going]);
  return now;
}
