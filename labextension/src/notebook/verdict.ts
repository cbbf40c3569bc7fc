/** How the version that a cell would define stands to the one that is known. */
import { Analysis, RunSummary } from '../api/types';

export type Verdict = 'waiting' | 'problems' | 'new' | 'same' | 'changed' | 'kernel';

/**
 * @param latest the hash that the function's `latest` has now; empty: there is none.
 */
export function verdictOf(analysis: Analysis | null, latest: string): Verdict {
  if (!analysis) {
    return 'waiting';
  }
  if (analysis.problems.length) {
    return 'problems';
  }
  if (!latest) {
    return 'new';
  }
  if (analysis.hash === latest) {
    return 'same';
  }
  return analysis.up_to_date === null ? 'kernel' : 'changed';
}

/** The newest run of a function among those that are known. */
export function lastRun(runs: readonly RunSummary[], project: string, name: string): RunSummary | null {
  const start = `${project}/${name}@`;
  let found: RunSummary | null = null;
  for (const run of runs) {
    if (!run.iteration && !run.parent && run.function.startsWith(start) && (!found || run.created > found.created)) {
      found = run;
    }
  }
  return found;
}

/** Places for markers: a problem of another cell is shown where this one uses the name. */
export function marks(
  analysis: Analysis,
  source: string
): { from: number; to: number; message: string; next: string }[] {
  const lines = source.split('\n');
  const starts = lines.reduce<number[]>((all, line) => [...all, all[all.length - 1] + line.length + 1], [0]);
  const clip = (at: number) => Math.max(0, Math.min(at, source.length));
  return analysis.problems.map(problem => {
    let { line, column, end_column: end } = problem;
    let message = problem.name ? `${problem.name}: ${problem.message}` : problem.message;
    if (problem.cell) {
      message += ` (cell [${problem.cell}], line ${problem.line})`;
      const name = problem.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      const uses = name ? new RegExp(`(?<![\\w.])${name}(?!\\w)`) : null;
      const first = lines.findIndex((text, at) => at > 0 && !text.startsWith('--') && uses?.test(text));
      line = first < 0 ? 1 : first + 1;
      column = first < 0 ? 0 : lines[first].search(uses!);
      end = first < 0 ? lines[0].length : column + problem.name.length;
    }
    const from = clip((starts[line - 1] ?? 0) + column);
    const to = clip((starts[line - 1] ?? 0) + end);
    return { from, to: Math.max(to, Math.min(from + 1, source.length)), message, next: problem.next_step };
  });
}
