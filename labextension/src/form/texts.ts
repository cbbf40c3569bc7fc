/** What the form says, in the user's language. */
import { TranslationBundle } from '@jupyterlab/translation';
import { Problems } from './request';

/** What is wrong with a field, in a sentence that says what to write instead. */
export function sayProblem(trans: TranslationBundle, problem: Problems[string]): string {
  switch (problem.kind) {
    case 'missing':
      return trans.__('A value is needed.');
    case 'int64':
      return trans.__('This does not fit into 64 bits; the function would have to take it as text.');
    case 'multiple':
      return trans.__('Give a multiple of %1.', problem.of);
    case 'pattern':
      return trans.__('It has to match %1.', problem.pattern);
    case 'length':
      return problem.high === undefined
        ? trans.__('At least %1 characters.', problem.low!)
        : trans.__('%1 to %2 characters.', problem.low ?? 0, problem.high);
    case 'range':
      return sayRange(trans, problem);
    case 'json':
      return trans.__('Give a JSON object, as in {"rate": [0.1, 0.01]}.');
    case 'labels':
      return trans.__('Give one label a line, as key=value.');
    case 'whole':
      return trans.__('Give a whole number, 0 or more.');
    case 'positive':
      return trans.__('Give a number of seconds above 0.');
    case 'type':
      return sayType(trans, problem.wanted);
  }
}

function sayRange(trans: TranslationBundle, problem: { low?: number; high?: number; open?: boolean }): string {
  const { low, high, open } = problem;
  if (low !== undefined && high !== undefined) {
    return open
      ? trans.__('Give a number between %1 and %2.', low, high)
      : trans.__('Give a number from %1 to %2.', low, high);
  }
  if (low !== undefined) {
    return open ? trans.__('Give a number above %1.', low) : trans.__('Give %1 or more.', low);
  }
  return open ? trans.__('Give a number below %1.', high!) : trans.__('Give %1 or less.', high!);
}

function sayType(trans: TranslationBundle, wanted: string): string {
  const texts: Record<string, string> = {
    integer: trans.__('Give a whole number, such as 8.'),
    number: trans.__('Give a number, such as 0.1 (or nan, inf).'),
    boolean: trans.__('Choose yes or no.'),
    list: trans.__('Give a JSON list, as in [1, 2].'),
    object: trans.__('Give a JSON object, as in {"a": 1}.'),
    datetime: trans.__('Give a time, as in 2026-05-01T12:00.')
  };
  return texts[wanted] ?? trans.__('This is no JSON. Texts are written in quotes, as in ["a"].');
}
