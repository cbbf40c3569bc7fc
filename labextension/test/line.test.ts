import { describe, expect, it } from 'vitest';
import * as line from '../src/notebook/line';

describe('a %%mlrun line', () => {
  it('is read and written without change', () => {
    for (const text of [
      '%%mlrun train',
      '%%mlrun train --param trees:int=200 --input rows --returns auc,model:model',
      "%%mlrun train --param 'text:str=two words' --cache --label a=b",
      '%%mlrun train -b --tag best',
      '%%mlrun train\n--param trees:int=200  # how many\n--returns auc\n--executor dask',
      '%%mlrun train --param empty:str='
    ]) {
      expect(line.write(line.read(text.split('\n')))).toBe(text);
    }
  });

  it('keeps quotes and backslashes of values', () => {
    const head: line.IHead = {
      name: 'x',
      parameters: [{ name: 'a', type: 'str', default: 'it\'s "so" \\ #1', doc: '' }],
      inputs: [],
      outputs: [],
      others: []
    };
    expect(line.read([line.write(head)])).toEqual(head);
  });

  it('goes on in lines of options and leaves the code its blank lines', () => {
    const cell = '%%mlrun x\n--param a=1\n\n\nb = a\n';
    expect(line.split(cell)).toEqual({ head: ['%%mlrun x', '--param a=1'], body: '\n\nb = a\n' });
    expect(line.replaceHead(cell, '%%mlrun y')).toBe('%%mlrun y\n\n\nb = a\n');
  });

  it('is put on top of a cell that has none', () => {
    expect(line.replaceHead('\nb = 1', '%%mlrun y')).toBe('%%mlrun y\nb = 1');
  });

  it('is told apart from other magics', () => {
    expect(line.isFunctionCell('%%mlrun')).toBe(true);
    expect(line.isFunctionCell('%%mlruns x')).toBe(false);
    expect(line.isFunctionCell('x = "%%mlrun"')).toBe(false);
  });

  it('says what is wrong with a quote that stays open', () => {
    expect(() => line.words("--param 'a")).toThrow('not closed');
  });
});

describe('a name for a cell', () => {
  it('comes from its comment, its function, or the heading', () => {
    expect(line.suggestName('# Train the model. Slowly\nx = 1', '')).toBe('train-the-model');
    expect(line.suggestName('def clean_rows(r):\n  pass', 'Heading')).toBe('clean-rows');
    expect(line.suggestName('x = 1', 'Größe schätzen')).toBe('gro-e-schatzen');
    expect(line.suggestName('1', '')).toBe('');
  });
});
