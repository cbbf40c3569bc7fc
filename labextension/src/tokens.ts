/** What other extensions may use: the registry of the panel's sections, and the model that everything here shows. */
import { Token } from '@lumino/coreutils';
import { ISignal } from '@lumino/signaling';
import type { ReactNode } from 'react';
import type { Model } from './model';

/** One section of the side panel. */
export interface ISection {
  readonly id: string;
  readonly title: string;
  /** Sections are shown by rank, lowest first. */
  readonly rank: number;
  /** How many there are, as it stands beside the title; nothing while that is not known. */
  count?(model: Model): string;
  render(model: Model): ReactNode;
}

export interface ISections {
  readonly changed: ISignal<ISections, void>;
  list(): readonly ISection[];
  /**
   * Adds a section.
   * @throws Error when the id is taken.
   */
  add(section: ISection): void;
}

export const ISections = new Token<ISections>(
  'mlrun-jupyter:ISections',
  'The sections of the MLRun side panel; add one to show a list of your own.'
);

/** The one model: the lists of the project that is open, kept up to date by one stream of events. */
export type IModel = Model;

export const IModel = new Token<IModel>(
  'mlrun-jupyter:IModel',
  'The lists of the MLRun project that is open, live, and the typed client of the server.'
);
