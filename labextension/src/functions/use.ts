/** Hooks around one function. */
import { useEffect, useState } from 'react';
import { FunctionSummary } from '../api/types';
import { Model } from '../model';

/**
 * A number that grows when the function has another version or other tags: as the stream tells, whatever the list is narrowed to and
 * whichever project it shows, and as the list has it when it was read anew.
 */
export function useVersions(model: Model, project: string, name: string): number {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const newest = () => model.functions.items.find(each => each.name === name && each.project === project)?.hash;
    let seen = newest();
    const news = () => setTurn(before => before + 1);
    const told = (_: Model, next: FunctionSummary) => {
      if (next.name === name && next.project === project) {
        seen = newest();
        news();
      }
    };
    const changed = () => {
      const found = newest();
      // one that is not listed may be there all the same
      if (found && found !== seen) {
        seen = found;
        news();
      }
    };
    model.functionChanged.connect(told);
    model.changed.connect(changed);
    return () => {
      model.functionChanged.disconnect(told);
      model.changed.disconnect(changed);
    };
  }, [model, project, name]);
  return turn;
}
