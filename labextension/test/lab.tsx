/** Stands for JupyterLab's packages, which need a browser to be loaded; and draws with the words as they are. */
import { TranslationBundle } from '@jupyterlab/translation';
import { render } from '@testing-library/react';
import { ReactNode } from 'react';
import { Trans } from '../src/parts';

export class ReactWidget {}
export class LabIcon {}
export const Clipboard = {};
export const Notification = {};
export const copyIcon = {};
export const HTMLSelect = 'select';
export const renderText = async ({ host, source }: { host: HTMLElement; source: string }) => {
  host.textContent = source;
};

const trans = { __: (text: string) => text, _n: (text: string) => text } as unknown as TranslationBundle;

export const drawn = (what: ReactNode): HTMLElement =>
  render(<Trans.Provider value={trans}>{what}</Trans.Provider>).container;
