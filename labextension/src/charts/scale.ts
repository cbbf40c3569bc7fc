/** Axes: round ticks, and where on them a value is. No DOM here. */

export interface IScale {
  readonly ticks: readonly number[];
  readonly low: number;
  readonly high: number;
  /** From 0 at `low` to 1 at `high`. */
  place(value: number): number;
}

/** Round numbers between two, about as many as asked for; for whole values only whole ones. */
export function niceTicks(low: number, high: number, count: number, whole = false): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) {
    return [low];
  }
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough * 0.999)!;
  if (whole) {
    step = Math.max(1, Math.round(step));
  }
  const found: number[] = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) {
    // by way of text, so that 3 * 0.1 is 0.3
    found.push(Number((at * step).toPrecision(12)));
  }
  return found;
}

export function linear(low: number, high: number, count: number, whole = false): IScale {
  if (low === high) {
    const room = low === 0 ? 1 : Math.abs(low) * 0.1;
    [low, high] = whole ? [low - 1, high + 1] : [low - room, high + room];
  }
  return { ticks: niceTicks(low, high, count, whole), low, high, place: value => (value - low) / (high - low) };
}

/** By powers of ten; where there are few of them also 2 and 5 times. */
export function logarithmic(low: number, high: number, count: number): IScale {
  if (low === high) {
    [low, high] = [low / 2, high * 2];
  }
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const every = Math.max(1, Math.ceil((last - first) / count));
  const factors = last - first <= 2 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = first; power <= last; power += every) {
    for (const factor of factors) {
      const tick = Number((factor * 10 ** power).toPrecision(12));
      if (tick >= low * 0.999999 && tick <= high * 1.000001) {
        ticks.push(tick);
      }
    }
  }
  const [from, to] = [Math.log10(low), Math.log10(high)];
  return { ticks, low, high, place: value => (Math.log10(value) - from) / (to - from) };
}

/** A number at an axis: short, in powers of ten where it is very large or small. */
export function tickText(value: number): string {
  const size = Math.abs(value);
  if (value === 0) {
    return '0';
  }
  if (size >= 1e6 || size < 1e-4) {
    return value
      .toExponential(2)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e');
  }
  return String(Number(value.toPrecision(6)));
}
