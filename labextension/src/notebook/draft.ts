/** What the dialog "Turn into function…" edits: the head of a cell, each part taken or left. */
import type { Analysis } from '../api/types';
import { IDeclared, IHead, isName } from './line';

export type Taken<T> = T & { taken: boolean };

export interface IDraft {
  name: string;
  parameters: Taken<IDeclared>[];
  inputs: Taken<IDeclared>[];
  outputs: Taken<{ name: string; type: string }>[];
  others: string[];
}

/**
 * A draft of what stands, with what was found beside it.
 * @param stands what the cell's own line says, for a cell that has one; what is found beside it is proposed, not taken.
 */
export function draftOf(found: IHead, stands: IHead | null, name: string): IDraft {
  const merge = <T extends { name: string }>(own: readonly T[] | undefined, proposed: readonly T[]): Taken<T>[] => [
    ...(own ?? []).map(each => ({ ...each, taken: true })),
    ...proposed.filter(each => !own?.some(one => one.name === each.name)).map(each => ({ ...each, taken: !stands }))
  ];
  const given = new Set([...(stands?.parameters ?? []), ...(stands?.inputs ?? [])].map(each => each.name));
  const free = <T extends { name: string }>(all: readonly T[]) => all.filter(each => !given.has(each.name));
  return {
    name: stands?.name || name,
    parameters: merge(stands?.parameters, free(found.parameters)),
    inputs: merge(stands?.inputs, free(found.inputs)),
    outputs: merge(stands?.outputs, found.outputs),
    others: stands?.others ?? []
  };
}

/** The head that the draft stands for. */
export function headOf(draft: IDraft): IHead {
  const taken = <T extends { name: string }>(all: readonly Taken<T>[]) =>
    all.filter(each => each.taken && each.name).map(({ taken: _, ...rest }) => rest);
  return {
    name: draft.name,
    parameters: taken(draft.parameters) as unknown as IDeclared[],
    inputs: taken(draft.inputs) as unknown as IDeclared[],
    outputs: taken(draft.outputs) as unknown as IHead['outputs'],
    others: draft.others
  };
}

/** Whether the line may be written: problems of the code do not hinder it, those of the line do. */
export function acceptable(draft: IDraft, analysis: Analysis | null): boolean {
  return isName(draft.name) && !analysis?.problems.some(each => each.kind === 'line');
}
