/** Hooks around one function. */
import { useEffect, useState } from 'react';
import { FunctionSummary } from '../api/types';
import { Model } from '../model';
import { useMissed } from '../run/use';

/** A number that grows when the function has another version or other tags, or may have; whatever the list of the panel is narrowed to. */
export function useVersions(model: Model, project: string, name: string): number {
  const [told, setTold] = useState(0);
  const missed = useMissed(model);
  useEffect(() => {
    const hear = (_: Model, next: FunctionSummary) => {
      if (next.name === name && next.project === project) {
        setTold(before => before + 1);
      }
    };
    model.functionChanged.connect(hear);
    return () => void model.functionChanged.disconnect(hear);
  }, [model, project, name]);
  return told + missed;
}
