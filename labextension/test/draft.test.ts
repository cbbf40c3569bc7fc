import { describe, expect, it } from 'vitest';
import { acceptable, draftOf, headOf } from '../src/notebook/draft';
import { read, write } from '../src/notebook/line';

const found = read(['%%mlrun x --param a:int=1 --param b:int=2 --input rows --returns s,t']);

describe('a draft of a function', () => {
  it('takes all that was found for a cell without a line', () => {
    const draft = draftOf(found, null, 'fit');
    draft.parameters[1].taken = false;
    draft.inputs.push({ name: '', type: '', doc: '', taken: true });
    expect(write(headOf(draft))).toBe('%%mlrun fit --param a:int=1 --input rows --returns s,t');
  });

  it('leaves a line as it stands, and proposes the rest', () => {
    const line = '%%mlrun y --param a:float=9 --returns s --tag best';
    const draft = draftOf(found, read([line]), 'fit');
    expect(write(headOf(draft))).toBe(line);
    expect(draft.parameters.map(each => [each.name, each.taken])).toEqual([
      ['a', true],
      ['b', false]
    ]);
  });

  it('is written with problems of its code, but not with a name or a line that nobody can read', () => {
    const draft = draftOf(found, null, 'fit');
    const problems = (kind: string) => ({ problems: [{ kind }] }) as any;
    expect(acceptable(draft, problems('value'))).toBe(true);
    expect(acceptable(draft, problems('line'))).toBe(false);
    expect(acceptable({ ...draft, name: 'Not a name' }, null)).toBe(false);
  });
});
