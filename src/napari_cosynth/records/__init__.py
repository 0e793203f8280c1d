"""Operations on records: make, crop, turn, resample, edit, perturb."""
