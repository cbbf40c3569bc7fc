/** What is typed into a filter, as conditions for the server and as a test of what the stream tells. */
import { Query } from '../api/client';
import { State } from '../api/types';

export interface ISought {
  /** A part of the name. */
  name: string;
  /** `key` with a value: `key=value`. */
  labels: string[];
}

/** Words with a `=` are labels, the others together are a part of the name. */
export function sought(text: string): ISought {
  const words = text.trim().split(/\s+/).filter(Boolean);
  return {
    name: words.filter(word => !word.includes('=')).join(' '),
    labels: words.filter(word => /^[^=]+=/.test(word))
  };
}

export interface IConditions {
  text: string;
  state?: State | '';
  /** Seconds back from now; 0: any time. */
  within?: number;
}

interface INamed {
  labels?: Record<string, string>;
  created: string;
  state?: State;
}

/** For the query of a listing. */
export function queryOf(of: IConditions, now = Date.now()): Query {
  const { name, labels } = sought(of.text);
  return {
    name: name ? `~${name}` : undefined,
    label: labels.length ? labels : undefined,
    state: of.state || undefined,
    since: of.within ? new Date(now - of.within * 1000).toISOString() : undefined
  };
}

/** The same for one item; `nameOf` gives what the server looks for the name in. */
export function matcher<T extends INamed>(of: IConditions, nameOf: (item: T) => string, now = Date.now()) {
  const { name, labels } = sought(of.text);
  const since = of.within ? now - of.within * 1000 : 0;
  return (item: T): boolean =>
    nameOf(item).toLowerCase().includes(name.toLowerCase()) &&
    (!of.state || item.state === of.state) &&
    (!since || Date.parse(item.created) >= since) &&
    labels.every(label => {
      const at = label.indexOf('=');
      return item.labels?.[label.slice(0, at)] === label.slice(at + 1);
    });
}
