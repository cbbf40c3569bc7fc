/** Hooks around one run: its record, kept up to date by the stream. */
import { useEffect, useMemo, useState } from 'react';
import { ApiError } from '../api/client';
import { RunDetail, RunSummary, TERMINAL } from '../api/types';
import { Model, asApiError } from '../model';

export interface IUsedRun {
  run: RunDetail | null;
  error: ApiError | null;
  again(): void;
}

/** The run, read once, changed by what the stream tells of it, and read again when it has ended. */
export function useRun(model: Model, uid: string): IUsedRun {
  const [run, setRun] = useState<RunDetail | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  const missed = useMissed(model);
  useEffect(() => {
    let gone = false;
    model.client.get<RunDetail>(`runs/${uid}`).then(
      found => {
        if (!gone) {
          setRun(found);
          setError(null);
        }
      },
      failure => !gone && setError(asApiError(failure))
    );
    return () => {
      gone = true;
    };
  }, [model, uid, turn, missed]);
  useEffect(() => {
    const changed = (_: Model, next: RunSummary) => {
      if (next.uid === uid) {
        setRun(before => before && { ...before, ...next });
        if (TERMINAL.has(next.state)) {
          setTurn(before => before + 1);
        }
      }
    };
    model.runChanged.connect(changed);
    return () => void model.runChanged.disconnect(changed);
  }, [model, uid]);
  useEffect(() => {
    const deleted = (_: Model, gone: string) => void (gone === uid && setTurn(before => before + 1));
    model.runDeleted.connect(deleted);
    return () => void model.runDeleted.disconnect(deleted);
  }, [model, uid]);
  return { run, error, again: () => setTurn(before => before + 1) };
}

/** A number that grows when something may not have been told: with it, what is shown is read anew. */
export function useMissed(model: Model): number {
  const [missed, setMissed] = useState(0);
  useEffect(() => {
    const hear = () => setMissed(before => before + 1);
    model.missed.connect(hear);
    return () => void model.missed.disconnect(hear);
  }, [model]);
  return missed;
}

/**
 * Runs that were read, with what the stream has told of them since, and of others that are wanted as well.
 * @param key what tells one list from another.
 */
export function useFollowed(
  model: Model,
  read: readonly RunSummary[] | undefined,
  wanted: (run: RunSummary) => boolean,
  key: string
): RunSummary[] {
  const [told, setTold] = useState<ReadonlyMap<string, RunSummary>>(new Map());
  const missed = useMissed(model);
  useEffect(() => {
    // whoever reads them does so anew, and what was told before is older than that
    setTold(new Map());
    const hear = (_: Model, next: RunSummary) => {
      if (wanted(next)) {
        setTold(before => new Map(before).set(next.uid, next));
      }
    };
    model.runChanged.connect(hear);
    return () => void model.runChanged.disconnect(hear);
  }, [model, key, missed]);
  return useMemo(() => {
    const all = new Map((read ?? []).map(each => [each.uid, each]));
    told.forEach((each, uid) => {
      // what has ended goes on no more; the stream may have been away when it did
      const known = all.get(uid);
      if (!known || !TERMINAL.has(known.state) || TERMINAL.has(each.state)) {
        all.set(uid, each);
      }
    });
    return [...all.values()];
  }, [read, told]);
}

/**
 * A number that grows when the run has told something new, at most once in `gap` milliseconds: what is read anew with it is told by
 * the stream, and never asked for in vain.
 */
export function useTold(model: Model, uid: string, going: boolean, gap = 1000): number {
  const [told, setTold] = useState(0);
  useEffect(() => {
    if (!going) {
      setTold(before => before + 1);
      return;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const hear = (_: Model, next: { uid: string }) => {
      if (next.uid === uid && timer === undefined) {
        timer = setTimeout(() => {
          timer = undefined;
          setTold(before => before + 1);
        }, gap);
      }
    };
    model.runChanged.connect(hear);
    model.journal.connect(hear);
    return () => {
      clearTimeout(timer);
      model.runChanged.disconnect(hear);
      model.journal.disconnect(hear);
    };
  }, [model, uid, going, gap]);
  return told;
}
