import { describe, expect, it } from 'vitest';
import { projectIn } from '../src/notebook/line';
import { placeOf, wordAt } from '../src/notebook/place';
import { lastRun, marks, verdictOf } from '../src/notebook/verdict';

const at = (text: string) => {
  const offset = text.indexOf('|');
  const place = placeOf(text.replace('|', ''), offset);
  return place && [place.kind, place.prefix, place.option ?? place.function].filter(each => each !== undefined);
};

describe('the word at a place', () => {
  it('is an option, a type, a value or a function of a %%mlrun cell', () => {
    expect(at('%%mlrun tr|')).toEqual(['function', 'tr']);
    expect(at('%%mlrun train --pa|')).toEqual(['option', '--pa']);
    expect(at('%%mlrun train\n--par|')).toEqual(['option', '--par']);
    expect(at('%%mlrun train\n--param a:f|\nx = 1')).toEqual(['value', 'f', '--param']);
    expect(at('%%mlrun train -i rows=store://|')).toEqual(['artifact', 'store://']);
    expect(at('%%mlrun train --returns a,b:mo|')).toEqual(['value', 'mo', '--returns']);
    expect(at('%%mlrun train --executor |')).toEqual(['value', '', '--executor']);
  });

  it('is an option of a feature set where the cell fills one', () => {
    expect(at('%%mlrun features weather --en|')).toEqual(['option', '--en', 'features']);
    expect(at('%%mlrun features weather --entity origin\n--ti|\nframe')).toEqual(['option', '--ti', 'features']);
    expect(at('%%mlrun features --pa|')).toEqual(['option', '--pa']);
  });

  it('is a command or what that takes', () => {
    expect(at('x = 1\n%mlrun sh|')).toEqual(['command', 'sh']);
    expect(at('run = %mlrun run tr|')).toEqual(['function', 'tr']);
    expect(at('%mlrun run train tre|')).toEqual(['parameter', 'tre', 'train']);
    expect(at('%mlrun run train --ca|')).toEqual(['run-option', '--ca']);
    expect(at('%mlrun show 3|')).toEqual(['run', '3']);
  });

  it('is none of ours elsewhere', () => {
    expect(at('x.fo|')).toBeNull();
    expect(at('%%mlrun train\nx = --y|')).toBeNull();
    expect(at('%%time\n--x|')).toBeNull();
    expect(at('%%mlrun train --param tre|')).toBeNull();
    expect(at('%mlruns x|')).toBeNull();
  });

  it('is found under the pointer', () => {
    const text = '%%mlrun train --param a=1';
    expect(wordAt(text, 17)).toMatchObject({ from: 14, to: 21, place: { kind: 'option', prefix: '--param' } });
    expect(wordAt('x = 1', 1)).toBeNull();
  });
});

describe('a project', () => {
  it('is what the cell chose last', () => {
    expect(projectIn('%load_ext mlrun_jupyter\n%mlrun project flights')).toBe('flights');
    expect(projectIn('p = mlrun.get_or_create_project("my_flights", context=".")')).toBe('my-flights');
    expect(projectIn('project = 1')).toBe('');
  });
});

const analysis = (more: object) => ({ problems: [], hash: 'h', up_to_date: true, latest_hash: 'h', ...more }) as any;

describe('the verdict on a cell', () => {
  it('follows the latest version, not the one of the analysis', () => {
    expect(verdictOf(null, '')).toBe('waiting');
    expect(verdictOf(analysis({}), 'h')).toBe('same');
    expect(verdictOf(analysis({}), 'other')).toBe('changed');
    expect(verdictOf(analysis({ up_to_date: null }), 'other')).toBe('kernel');
    expect(verdictOf(analysis({}), '')).toBe('new');
    expect(verdictOf(analysis({ problems: [{}] }), 'h')).toBe('problems');
  });

  it('takes the newest run that is nobody’s child', () => {
    const run = (uid: string, created: string, more = {}) =>
      ({ uid, created, function: 'p/train@1', iteration: 0, parent: '', ...more }) as any;
    const runs = [
      run('a', '1'),
      run('b', '3', { parent: 'x' }),
      run('c', '2'),
      run('d', '9', { function: 'p/trains@1' })
    ];
    expect(lastRun(runs, 'p', 'train')?.uid).toBe('c');
    expect(lastRun(runs, 'p', 'nobody')).toBeNull();
  });

  it('marks a problem of another cell where this one uses the name', () => {
    const source = '%%mlrun f\ny = rows + my.rows';
    const problem = { line: 1, column: 0, end_column: 4, cell: 2, name: 'rows', message: 'm', next_step: 'n' };
    const [mark] = marks(analysis({ problems: [problem] }), source);
    expect(source.slice(mark.from, mark.to)).toBe('rows');
    expect(mark.from).toBe(14);
    expect(mark.message).toContain('cell [2]');
    const own = marks(analysis({ problems: [{ ...problem, cell: 0, line: 9 }] }), source);
    expect(own[0].to).toBeLessThanOrEqual(source.length);
  });
});
